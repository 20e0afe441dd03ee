import { generateKeyPairSync } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { exportJWK, SignJWT } from 'jose'
import { stringify } from 'yaml'
import { systemClock } from '../src/base/clock.ts'
import { parseApplicationName, parseScope, parseTenantId } from '../src/base/ids.ts'
import { Secret } from '../src/base/secret.ts'
import type { Caller, CallerIdentifier, PresentedProofs } from '../src/caller/caller.ts'
import { createCertificateCallerIdentifier } from '../src/caller/certificate-caller.ts'
import { createJwtCallerIdentifier } from '../src/caller/jwt-caller.ts'
import { createCallerIdentifier } from '../src/caller/presented-caller.ts'
import { createMemoryUsedIds } from '../src/caller/used-ids.ts'
import { loadAll } from '../src/cli/load-all.ts'
import type { Config } from '../src/config/config.ts'
import type { Ask } from '../src/policy/decision.ts'
import { createMemoryGrantBudget } from '../src/policy/grant-budget.ts'
import { decide, type Policy } from '../src/policy/policy.ts'
import { median, type Row } from './table.ts'

const publicUrl = 'https://countersign.bench.example'
const tenant = 'fab00000-0000-4000-8000-000000000001'
const scope = 'https://orders.example/.default'
const grantsOfIssuer = 10

/** One call takes less than a clock can tell, so some are timed together. */
const callsTimed = 50
const timings = 2000

const barsUs = { decision: 50, together: 8 } as const

/**
 * Who somebody is and what they may have, by the parts of the service that find it out, in this process
 * and without HTTP: among very many grants and issuers, and beside one issuer alone.
 */
export async function decisionMeasure(): Promise<readonly Row[]> {
  const many = await loadGrants(1000)
  const one = await loadGrants(1)
  const callers = await proofsOf(many.config)
  const identifier = identifierFor(many.config, callers)
  const known: Caller[] = []
  for (const proofs of callers.proofs) known.push(await identified(identifier, proofs))

  const decisionUs = timeOf((call) => {
    expectGranted(many.policy, pick(known, call))
  })
  const aloneUs = timeOf(() => {
    expectGranted(one.policy, pick(known, 0))
  })
  const togetherUs = await timeOfAsync(async (call) => {
    expectGranted(many.policy, await identified(identifier, pick(callers.proofs, call)))
  })
  return [
    barred('decision, 10,000 grants of 1,000 issuers', decisionUs, barsUs.decision),
    { measure: 'decision, 10 grants of one issuer', value: aloneUs, unit: 'µs' },
    barred('identify and decide, token seen before, 1,000 tokens', togetherUs, barsUs.together),
  ]
}

const barred = (measure: string, value: number, bar: number): Row => ({
  measure,
  value,
  unit: 'µs',
  bar: `≤ ${bar} µs`,
  met: value <= bar,
  limit:
    'One SHA-256 of the token, by which a token that was seen is found and nothing of it is kept, and the look-up of ' +
    'grants by issuer and claim; both are a few hundred nanoseconds to microseconds, and follow the processor.',
})

const issuerAt = (index: number) => `https://issuer-${index}.bench.example`

/** As `serve` loads them, from files. */
async function loadGrants(issuers: number): Promise<{ config: Config; policy: Policy }> {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-bench-grants-'))
  try {
    mkdirSync(join(folder, 'grants'))
    writeFileSync(join(folder, 'countersign.yaml'), stringify(configurationWith(issuers)))
    for (let index = 0; index < issuers * grantsOfIssuer; index += 1) {
      writeFileSync(
        join(folder, 'grants', `grant-${index}.yaml`),
        stringify(grantAt(index, issuers)),
      )
    }
    const loaded = await loadAll(join(folder, 'countersign.yaml'), systemClock.nowSeconds())
    if (!loaded.ok) throw new Error(loaded.problems.map(({ message }) => message).join('\n'))
    return { config: loaded.config, policy: loaded.policy.policy }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const configurationWith = (issuers: number) => ({
  publicUrl,
  listen: { host: '127.0.0.1', port: 0 },
  credential: 'managed-identity',
  certificates: { partners: { vault: 'https://bench.vault.azure.net', name: 'partner-signing' } },
  applications: {
    events: {
      clientId: '11111111-0000-4000-8000-000000000001',
      certificate: 'partners',
      tenants: [tenant],
    },
  },
  issuers: Object.fromEntries(
    Array.from({ length: issuers }, (_, index) => [
      `issuer-${index}`,
      { kind: 'oidc', issuer: issuerAt(index), algorithms: ['RS256'] },
    ]),
  ),
  grants: './grants',
  ledger: { sqlite: './countersign.db' },
})

const grantAt = (index: number, issuers: number) => ({
  grant: `grant-${index}`,
  caller: {
    issuer: `issuer-${index % issuers}`,
    claims: { repository_id: String(index), ref: 'refs/heads/main', environment: 'production' },
  },
  may: [{ application: 'events', tenant, scopes: [scope] }],
})

interface Callers {
  /** One of each issuer. */
  readonly proofs: readonly PresentedProofs[]
  readonly jwks: unknown
}

async function proofsOf({ issuers }: Config): Promise<Callers> {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const nowSeconds = systemClock.nowSeconds()
  const texts = await Promise.all(
    issuers.map((_, index) =>
      new SignJWT({
        repository_id: String(index),
        ref: 'refs/heads/main',
        environment: 'production',
      })
        .setProtectedHeader({ alg: 'RS256', kid: 'bench', typ: 'JWT' })
        .setIssuer(issuerAt(index))
        .setSubject(`repo:fabrikam/${index}`)
        .setAudience(publicUrl)
        .setJti(`bench-${index}`)
        .setIssuedAt(nowSeconds)
        .setExpirationTime(nowSeconds + 3000)
        .sign(privateKey),
    ),
  )
  const key = { ...(await exportJWK(publicKey)), kid: 'bench', alg: 'RS256', use: 'sig' }
  const target = { method: 'POST', path: '/v1/token' }
  return {
    proofs: texts.map((text) => ({ target, token: { scheme: 'Bearer', text: new Secret(text) } })),
    jwks: { keys: [key] },
  }
}

/** As in the service, but for the issuers' answers, which come from here. */
function identifierFor({ issuers }: Config, { jwks }: Callers): CallerIdentifier {
  const clock = systemClock
  return createCallerIdentifier({
    tokens: createJwtCallerIdentifier({
      issuers: issuers.flatMap((issuer) => (issuer.kind === 'oidc' ? [issuer] : [])),
      ownClientIds: [],
      clock,
      fetchJson: (url) => {
        const { origin, pathname } = url
        const isDiscovery = pathname.endsWith('/openid-configuration')
        return Promise.resolve(isDiscovery ? { issuer: origin, jwks_uri: `${origin}/keys` } : jwks)
      },
      onIssuerAway: (failure) => {
        throw failure
      },
    }),
    certificates: createCertificateCallerIdentifier({ issuers: [], clock }),
    boundTokens: new Map(),
    publicUrl,
    clock,
    usedIds: createMemoryUsedIds(clock, 1),
  })
}

/** As `asCaller` does. */
async function identified(identifier: CallerIdentifier, proofs: PresentedProofs): Promise<Caller> {
  const known = identifier.known(proofs)
  if (known !== undefined) return known
  const identification = await identifier.identify(proofs)
  if (!identification.ok) throw new Error(`not proven: ${identification.refusal.reason}`)
  return identification.caller
}

const budget = createMemoryGrantBudget(systemClock)

const ask: Ask = {
  want: 'token',
  application: required(parseApplicationName('events')),
  tenant: required(parseTenantId(tenant)),
  scope: required(parseScope(scope)),
}

function required<T>(value: T | undefined): T {
  if (value === undefined) throw new TypeError('it is written above')
  return value
}

function expectGranted(policy: Policy, caller: Caller): void {
  const decision = decide(policy, caller, ask, systemClock.nowSeconds(), budget)
  if (!decision.ok) throw new Error(`not granted: ${decision.refusal.reason}`)
}

/** In an order that no cache can know. */
const pick = <T>(items: readonly T[], call: number): T =>
  required(items[(call * 7919) % items.length])

/** @returns Median of one call, microseconds. */
function timeOf(act: (call: number) => void): number {
  const timed = (first: number) => {
    const startedMs = performance.now()
    for (let call = first; call < first + callsTimed; call += 1) act(call)
    return ((performance.now() - startedMs) * 1000) / callsTimed
  }
  return median(Array.from({ length: timings }, (_, index) => timed(index * callsTimed)))
}

async function timeOfAsync(act: (call: number) => Promise<void>): Promise<number> {
  const values: number[] = []
  for (let first = 0; first < timings * callsTimed; first += callsTimed) {
    const startedMs = performance.now()
    for (let call = first; call < first + callsTimed; call += 1) await act(call)
    values.push(((performance.now() - startedMs) * 1000) / callsTimed)
  }
  return median(values)
}
