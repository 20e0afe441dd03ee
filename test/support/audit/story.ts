import { createHash } from 'node:crypto'

/**
 * Days of a service and its vault, as they are: what the ledger, the vault, Entra and its directory write of
 * the same acts, in JSON of their own. Shares nothing with whatever joins them again.
 */
export interface Story {
  /** In the order of the ledger. */
  readonly entries: LedgerEntry[]
  readonly vaultLines: VaultLine[]
  readonly signIns: SignInLine[]
  readonly audits: object[]
  /** What has to be found, as `kind id`; each once. */
  readonly expected: Set<string>
  /** Reasons for which something has to stay undecided, with how many. */
  readonly undecided: Map<string, number>
  readonly startMs: number
  readonly nowMs: number
  /** The acts that nothing has happened to so far. */
  readonly untouched: Act[]
}

export interface LedgerEntry {
  readonly kind: string
  readonly atMs: number
  readonly [member: string]: unknown
}

export interface VaultLine {
  readonly time: string
  readonly operationName: string
  readonly correlationId: string
  readonly [member: string]: unknown
}

export type SignInLine = Readonly<Record<string, unknown>> & { readonly id: string }

/** One signature that ended well, with all that was written of it. */
export interface Act {
  readonly requestId: string
  readonly atMs: number
  readonly nonce: string
  readonly made: LedgerEntry
  readonly line: VaultLine
}

/** A number in [0, 1) each time, the same ones for the same seed. */
export type Random = () => number

/** Lehmer's generator with Park and Miller's multiplier. */
export function randomFrom(seed: number): Random {
  let state = ((seed * 7919 + 17) % 2_147_483_646) + 1
  return () => {
    state = Number((BigInt(state) * 48_271n) % 2_147_483_647n)
    return state / 2_147_483_647
  }
}

export const us = {
  vault: 'contoso-hsm.vault.azure.net',
  key: 'https://contoso-hsm.vault.azure.net/keys/partner-signing',
  keyId: `https://contoso-hsm.vault.azure.net/keys/partner-signing/${'0a1b'.repeat(8)}`,
  oid: '51000000-0000-4000-8000-000000000001',
  clientId: '11111111-0000-4000-8000-000000000001',
  servicePrincipal: '11111111-0000-4000-8000-0000000000b1',
  tenant: 'fab00000-0000-4000-8000-000000000002',
  der: Buffer.from('a certificate of ours'),
} as const

export const stranger = '51000000-0000-4000-8000-0000000000ee'
const ourThumbprint = createHash('sha1').update(us.der).digest('hex').toUpperCase()

const minute = 60_000
const hour = 60 * minute

let lastId = 0
/** Each is used once in a process: ids of Azure and of ours. */
export const newId = (): string => {
  lastId += 1
  return `aaaaaaaa-0000-4000-8000-${lastId.toString(16).padStart(12, '0')}`
}

export const iso = (ms: number): string => new Date(ms).toISOString().replace('Z', '1234Z')

export interface LineChanges {
  readonly operationName?: string
  readonly oid?: string
  readonly address?: string
  readonly userAgent?: string
  readonly status?: number
  readonly id?: string
  readonly algorithm?: string
}

export function vaultLine(atMs: number, requestId: string, changes: LineChanges = {}): VaultLine {
  const id = changes.id ?? us.keyId
  return {
    time: iso(atMs),
    category: 'AuditEvent',
    operationName: changes.operationName ?? 'KeySign',
    resultType: 'Success',
    correlationId: requestId,
    durationMs: '21',
    callerIpAddress: changes.address ?? '203.0.113.9',
    identity: { claim: { oid: changes.oid ?? us.oid, appid: 'app' } },
    properties: {
      id,
      clientInfo: changes.userAgent ?? 'azsdk-js',
      requestUri: `${id}?api-version=2025-07-01`,
      httpStatusCode: changes.status ?? 200,
      ...(changes.operationName === undefined ? { algorithm: changes.algorithm ?? 'PS256' } : {}),
    },
  }
}

export const userAgentOf = (nonce: string) => `countersign/0.1.0 (signature-nonce ${nonce})`

export function signInLine(atMs: number, id: string, changes: object = {}): SignInLine {
  return {
    id,
    createdDateTime: new Date(atMs).toISOString(),
    appId: us.clientId,
    servicePrincipalId: us.servicePrincipal,
    servicePrincipalCredentialThumbprint: ourThumbprint,
    correlationId: id,
    resourceTenantId: us.tenant,
    status: { errorCode: 0 },
    ...changes,
  }
}

interface SignatureOfStory {
  readonly requestId: string
  readonly nonce: string
  readonly signature: string
  readonly begun: LedgerEntry
}

function begin(story: Story, atMs: number, random: Random, purpose = 'exchange'): SignatureOfStory {
  const signature = newId()
  const bytes = Buffer.from(Array.from({ length: 16 }, () => Math.floor(random() * 256)))
  const nonce = bytes.toString('base64url')
  const begun = {
    kind: 'signature.begun',
    atMs,
    signature,
    attempt: newId(),
    purpose,
    application: 'events',
    tenant: us.tenant,
    keyId: us.keyId,
    algorithm: 'PS256',
    digest: 'digest',
    nonceSha256: createHash('sha256').update(nonce).digest('base64url'),
    expiresAtSeconds: atMs / 1000 + 300,
  }
  story.entries.push(begun)
  return { requestId: newId(), nonce, signature, begun }
}

/** A token is obtained: a signature, its record, an exchange and its sign-in. */
function obtain(story: Story, atMs: number, skewMs: number, random: Random): void {
  const { requestId, nonce, signature } = begin(story, atMs, random)
  const line = vaultLine(atMs + 30 + skewMs, requestId, { userAgent: userAgentOf(nonce) })
  const made = {
    kind: 'signature.made',
    atMs: atMs + 70,
    signature,
    vaultRequestId: requestId,
    signatureSha256: 's',
  }
  const traceId = newId()
  story.vaultLines.push(line)
  story.entries.push(made, {
    kind: 'exchange.succeeded',
    atMs: atMs + 200,
    exchange: newId(),
    signature,
    attempt: 'a',
    application: 'events',
    tenant: us.tenant,
    scope: 'https://eventhubs.azure.net/.default',
    traceId,
    tokenSha256: 't',
    expiresAtSeconds: 1,
  })
  story.signIns.push(signInLine(atMs + 150, traceId))
  story.untouched.push({ requestId, atMs, nonce, made, line })
}

/** The vault throttles: both know that nothing was signed. */
function throttled(story: Story, atMs: number, skewMs: number, random: Random): void {
  const { requestId, nonce, signature } = begin(story, atMs, random)
  const userAgent = userAgentOf(nonce)
  story.vaultLines.push(vaultLine(atMs + 5 + skewMs, requestId, { userAgent, status: 429 }))
  story.entries.push({
    kind: 'signature.failed',
    atMs: atMs + 20,
    signature,
    code: 'SIGNER_THROTTLED',
    applied: 'no',
    vaultRequestId: requestId,
  })
}

/** Somebody who can write the ledger says that this signature was the service's. */
export function claim(story: Story, atMs: number, vaultRequestId: string, random: Random): void {
  const { signature } = begin(story, atMs, random)
  story.entries.push({
    kind: 'signature.made',
    atMs: atMs + 70,
    signature,
    vaultRequestId,
    signatureSha256: 's',
  })
}

export interface Lost {
  readonly nonce: string
  readonly atMs: number
  readonly skewMs: number
  readonly wasMade: boolean
}

/** The reply is lost, before the vault signed or after; or the service dies while it waits. */
export function lose(story: Story, atMs: number, skewMs: number, random: Random): Lost {
  const { requestId, nonce, signature } = begin(story, atMs, random)
  const wasMade = random() < 0.6
  if (wasMade) {
    const userAgent = userAgentOf(nonce)
    story.vaultLines.push(vaultLine(atMs + 30 + skewMs, requestId, { userAgent }))
    story.expected.add(`sign.assumed ${requestId}`)
  }
  if (random() < 0.7) {
    story.entries.push({
      kind: 'signature.failed',
      atMs: atMs + 10_000,
      signature,
      code: 'SIGNER_TIMEOUT',
      applied: 'unknown',
    })
  }
  return { nonce, atMs, skewMs, wasMade }
}

/** An assertion is handed out, and its holder signs in with it. */
function handOut(story: Story, atMs: number, skewMs: number, random: Random): void {
  const { requestId, nonce, signature } = begin(story, atMs, random, 'hand-out')
  story.vaultLines.push(vaultLine(atMs + 30 + skewMs, requestId, { userAgent: userAgentOf(nonce) }))
  story.entries.push(
    {
      kind: 'signature.made',
      atMs: atMs + 70,
      signature,
      vaultRequestId: requestId,
      signatureSha256: 's',
    },
    {
      kind: 'assertion.issued',
      atMs: atMs + 90,
      attempt: 'a',
      caller: { issuer: 'github', subject: 's' },
      grant: 'deploy',
      application: 'events',
      tenant: us.tenant,
      signature,
      assertionSha256: 'a',
      expiresAtSeconds: atMs / 1000 + 300,
    },
  )
  if (random() < 0.5) {
    const id = newId()
    story.signIns.push(signInLine(atMs + 60_000, id))
    story.expected.add(`signin.ambiguous ${id}`)
  }
}

const kinds = [obtain, obtain, obtain, obtain, obtain, obtain, throttled, handOut, lose]

/**
 * A day and more of ordinary traffic, with what goes wrong by itself. One act in ten minutes at most, so that
 * what is done to one is not mixed up with another; a reader of the key shows every ten minutes that the log
 * is delivered.
 */
export function ordinaryStory(random: Random): Story {
  const startMs = Date.UTC(2026, 10, 20)
  const hours = 24 + Math.floor(random() * 24)
  const story: Story = {
    entries: [
      { kind: 'service.started', atMs: startMs, version: '1' },
      {
        kind: 'certificate.loaded',
        atMs: startMs,
        certificate: 'partners',
        keyId: us.keyId,
        thumbprintSha256: 't',
        notAfterSeconds: 1,
        der: us.der.toString('base64'),
      },
    ],
    vaultLines: [],
    signIns: [],
    audits: [],
    expected: new Set(),
    undecided: new Map(),
    startMs,
    nowMs: startMs + hours * hour,
    untouched: [],
  }
  const skewMs = Math.floor((random() - 0.5) * 100_000)
  for (let atMs = startMs - 2 * hour; atMs < story.nowMs; atMs += 10 * minute) {
    story.vaultLines.push(vaultLine(atMs, newId(), { operationName: 'KeyGet' }))
  }
  for (let atMs = startMs + hour; atMs < story.nowMs - 2 * hour; atMs += 20 * minute) {
    if (random() < 0.3) continue
    const kind = kinds[Math.floor(random() * kinds.length)] ?? obtain
    kind(story, atMs + Math.floor(random() * 8 * minute), skewMs, random)
  }
  return story
}

/** One of them, which nothing has happened to, and nothing else will. */
export function takeAct(story: Story, random: Random): Act | undefined {
  return story.untouched.splice(Math.floor(random() * story.untouched.length), 1)[0]
}

/** A time of the story in which everything is decided. */
export const someTime = (story: Story, random: Random): number =>
  story.startMs + hour + Math.floor(random() * (story.nowMs - story.startMs - 4 * hour))

export function replace<Item>(items: Item[], item: Item, by: readonly Item[]): void {
  items.splice(items.indexOf(item), 1, ...by)
}
