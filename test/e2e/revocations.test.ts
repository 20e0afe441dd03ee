import { setTimeout } from 'node:timers/promises'
import { Agent, request } from 'undici'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { isRevoked, revocationsFrom } from '../../src/revocation/revocation.ts'
import { mintOrderSchema } from '../../src/emulator/issuers/mint-order.ts'
import type { Entry } from '../../src/ledger/entry.ts'
import { type CuttableProxy, startCuttableProxy } from '../support/cuttable-proxy.ts'
import type { TestEmulator } from '../support/emulator.ts'
import { startPostgres, type TestPostgres, urlWith } from '../support/postgres.ts'
import { verifiedEntriesAt } from '../support/postgres-store.ts'
import { required } from '../support/required.ts'
import { serveFrom, type Served } from '../support/served.ts'
import {
  cast,
  defaultGrants,
  type GrantFile,
  ordersAsk,
  serviceWorld,
  startServiceEmulator,
} from '../support/test-service.ts'

/** Three replicas of `countersign serve` on one PostgreSQL, one of which hears no notification. */

const incidentResponse: GrantFile = {
  grant: 'incident-response',
  caller: { issuer: 'gitlab', claims: { project_id: '20' } },
  may: [{ admin: 'revoke' }],
}

let emulator: TestEmulator
let server: TestPostgres
const agent = new Agent({ connections: 100, pipelining: 1 })
beforeAll(async () => {
  ;[emulator, server] = await Promise.all([startServiceEmulator(serviceWorld), startPostgres()])
})
afterAll(async () => {
  await agent.close()
  await Promise.all([emulator.stop(), server.stop()])
})

let url: string
let replicas: readonly Served[] = []
let deaf: CuttableProxy
afterEach(async () => {
  await Promise.all(replicas.map((one) => one.remove()))
  replicas = []
  await deaf.close()
})

const serving = (ledger: string) =>
  serveFrom(emulator, {
    grants: [...defaultGrants, incidentResponse],
    configuration: (file) => ({
      ...file,
      ledger: { postgres: ledger },
      tokenCache: {
        assertionReuseSeconds: 0,
        wrappingKey: {
          vault: required(emulator.endpoints.vaults['contoso-hsm']),
          name: 'token-wrapping',
        },
      },
    }),
  })

/** What is said to all of `NOTIFY` reaches two of them. */
async function startReplicas(): Promise<void> {
  url = await server.createDatabase()
  deaf = await startCuttableProxy(Number(new URL(url).port))
  deaf.translate('dropped', 'unheard')
  replicas = [serving(url), serving(url), serving(urlWith(url, { port: String(deaf.port) }))]
  await Promise.all(replicas.map((one) => one.said('ready')))
}

interface Answer {
  readonly status: number
  readonly body: Readonly<Record<string, unknown>>
}

async function ask(
  replica: Served,
  route: string,
  callerToken: string,
  json?: object,
): Promise<Answer> {
  const [method, path] = route.split(' ') as ['GET' | 'POST' | 'DELETE', string]
  const { statusCode, body } = await request(`${await replica.origin()}${path}`, {
    dispatcher: agent,
    method,
    headers: { 'content-type': 'application/json', authorization: `Bearer ${callerToken}` },
    body: json === undefined ? null : JSON.stringify(json),
  })
  return { status: statusCode, body: (await body.json()) as Answer['body'] }
}

const adminToken = () =>
  required(emulator.issuers.find('gitlab')).mint(
    mintOrderSchema.parse({ audience: cast.publicUrl }),
  )

const of = <Kind extends Entry['kind']>(entries: readonly Entry[], kind: Kind) =>
  entries.filter((entry): entry is Extract<Entry, { kind: Kind }> => entry.kind === kind)

/** What lets something happen for the workload, in the order of the chain. */
const lets = new Set<Entry['kind']>(['request.granted', 'signature.begun', 'token.issued'])

/** What an ask came to, and when it was begun: milliseconds of one monotonic clock. */
interface Asked extends Answer {
  readonly begunMs: number
}

/** Asks a hundred times a second, in turns, until it is told to stop; then all answers. */
function askAgainAndAgain(callerToken: string): () => Promise<readonly Asked[]> {
  const answers: Promise<Asked>[] = []
  let asked = 0
  const timer = setInterval(() => {
    asked += 1
    const begunMs = performance.now()
    const answer = ask(
      required(replicas[asked % 3]),
      'POST /v1/token',
      callerToken,
      ordersAsk,
    ).then((told) => ({ ...told, begunMs }))
    // Whoever stops is told.
    answer.catch(() => undefined)
    answers.push(answer)
  }, 10)
  return () => {
    clearInterval(timer)
    return Promise.all(answers)
  }
}

/** From when a revocation was answered until somebody began to lift it. */
interface Stopped {
  readonly id: string
  readonly fromMs: number
  readonly untilMs: number
}

/** Each of them stops the workload. */
function everyKind(entries: readonly Entry[]): readonly Readonly<Record<string, unknown>>[] {
  const { subject } = required(of(entries, 'token.issued').at(-1)).caller
  const { keyId } = required(of(entries, 'signature.begun').at(-1))
  return [
    { caller: { issuer: 'fabrikam', subject } },
    { grant: 'fabrikam-orders' },
    { issuer: 'fabrikam' },
    { application: 'events' },
    { tenant: cast.fabrikam },
    { keyVersion: keyId },
  ]
}

describe('while three replicas are asked a hundred times a second', () => {
  test('nothing begins and nothing is released behind a revocation of any kind, until it is lifted', async () => {
    await startReplicas()
    const [workload, admin] = await Promise.all([
      emulator.token('fabrikam-orders', cast.publicUrl),
      adminToken(),
    ])
    const [first, second] = [required(replicas[0]), required(replicas[1])]
    const onEach = async () => {
      const answers = await Promise.all(
        replicas.map((one) => ask(one, 'POST /v1/token', workload, ordersAsk)),
      )
      return answers.map(({ status, body }) => body['code'] ?? status)
    }
    expect(await onEach()).toEqual([200, 200, 200])
    const kinds = everyKind(await verifiedEntriesAt(url))
    const stopped: Stopped[] = []
    const stop = askAgainAndAgain(workload)
    let answers: readonly Asked[]
    try {
      for (const revoked of kinds) {
        await setTimeout(700)
        const made = await ask(first, 'POST /v1/revocations', admin, revoked)
        const fromMs = performance.now()
        expect(made).toMatchObject({ status: 200 })
        // At once, also where nobody was told.
        expect(await onEach()).toEqual(['revoked', 'revoked', 'revoked'])
        await setTimeout(700)
        const { id } = made.body['revocation'] as { id: string }
        stopped.push({ id, fromMs, untilMs: performance.now() })
        expect(await ask(second, `DELETE /v1/revocations/${id}`, admin)).toMatchObject({
          status: 200,
        })
        // Others look once a second.
        await expect.poll(onEach).toEqual([200, 200, 200])
      }
    } finally {
      answers = await stop()
    }

    const told = new Set(answers.map(({ status, body }) => body['code'] ?? status))
    expect(told).toEqual(new Set([200, 'revoked']))
    const entries = await verifiedEntriesAt(url)
    const made = of(entries, 'revocation.made')
    expect(made.map(({ revoked }) => revoked.what)).toEqual([
      'caller',
      'grant',
      'issuer',
      'application',
      'tenant',
      'key-version',
    ])
    expect(behindRevocations(entries)).toEqual([])
    // What was released was written down, and so stands where that says.
    const issuedAt = new Map(
      entries.flatMap((entry, at) =>
        entry.kind === 'token.issued' ? [[entry.attempt, at] as const] : [],
      ),
    )
    const released = answers.filter(({ status }) => status === 200)
    expect(released.filter(({ body }) => !issuedAt.has(body['attempt'] as string))).toEqual([])
    // As callers see it: whoever asks while it is stopped gets nothing before it is lifted.
    for (const { id, fromMs, untilMs } of stopped) {
      const liftedAt = entries.findIndex(
        (entry) => entry.kind === 'revocation.lifted' && entry.revocation === id,
      )
      const meanwhile = answers.filter(({ begunMs }) => fromMs < begunMs && begunMs < untilMs)
      expect(meanwhile.map(({ body }) => body['code'])).toContain('revoked')
      const given = meanwhile.filter(({ status }) => status === 200)
      expect(
        given.filter(({ body }) => Number(issuedAt.get(body['attempt'] as string)) < liftedAt),
      ).toEqual([])
    }
    // It went on in between, so the order could have been broken.
    expect(released.length).toBeGreaterThan(100)
  }, 180_000)
})

/** Entries that let something happen for what was revoked where they stand. */
function behindRevocations(entries: readonly Entry[]): readonly Entry[] {
  const keyBehind = keysBehindTokens(entries)
  let standing = revocationsFrom({ epoch: 0, made: [] })
  return entries.filter((entry) => {
    if (entry.kind === 'revocation.made') {
      standing = revocationsFrom({ epoch: entry.epoch, made: [...standing.made, entry] })
    } else if (entry.kind === 'revocation.lifted') {
      const made = standing.made.filter(({ revocation }) => revocation !== entry.revocation)
      standing = revocationsFrom({ epoch: entry.epoch, made })
    }
    return lets.has(entry.kind) && isRevoked(standing, factsOf(entry, keyBehind))
  })
}

/** By attempt, which key version signed for the token that it obtained. */
function keysBehindTokens(entries: readonly Entry[]): ReadonlyMap<string, string> {
  const keyIds = new Map(of(entries, 'signature.begun').map((one) => [one.signature, one.keyId]))
  return new Map(
    of(entries, 'exchange.succeeded').map(({ attempt, signature }) => [
      attempt,
      required(keyIds.get(signature)),
    ]),
  )
}

function factsOf(entry: Entry, keyBehind: ReadonlyMap<string, string>) {
  if (entry.kind === 'signature.begun') {
    return { application: entry.application, tenant: entry.tenant, keyId: entry.keyId }
  }
  if (entry.kind !== 'request.granted' && entry.kind !== 'token.issued') return {}
  const { caller, grant, application, tenant } = entry
  const facts = { issuer: caller.issuer, subject: caller.subject, grant, application, tenant }
  if (entry.kind === 'request.granted') return facts
  return { ...facts, keyId: required(keyBehind.get(entry.obtainedBy)) }
}
