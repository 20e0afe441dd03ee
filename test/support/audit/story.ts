import { constants, createHash, generateKeyPairSync, sign } from 'node:crypto'
import { authority } from '../certificate-chains.ts'

/**
 * Days of a service and its vault, as they are: what the ledger, the vault, Entra and its directory write of
 * the same acts, in JSON of their own. Shares nothing with whatever joins them again.
 */
export interface Story {
  /** The ledger has them in the order of their times. */
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
  /** All acts, those that go wrong by themselves too. */
  readonly traces: Trace[]
  /** When heads of the ledger are signed, in order. What is signed is known once the ledger is written. */
  readonly heads: PlannedHead[]
  /** Proofs that anybody can show to be false who has the certificate. */
  falseProofs: number
}

/** What an act has written in the ledger, in order, and what was seen of it outside. */
export interface Trace {
  readonly entries: readonly LedgerEntry[]
  /** What has to be found where the ledger ends within it, by how many of its entries are left. */
  readonly aftermath: readonly (readonly string[])[]
  /** Of whoever signed in, and nothing explains it where the exchange is not on record. */
  readonly signIn?: { readonly id: string; readonly atMs: number; readonly knownFrom: number }
  /** Its holder may sign in from then on, where the entry of that number is left. */
  readonly handedOut?: { readonly entry: number; readonly fromMs: number; readonly toMs: number }
}

/** One that is due, with the record of its signature. */
export interface PlannedHead {
  readonly atMs: number
  readonly signature: string
  readonly requestId: string
  readonly nonce: string
  readonly line: VaultLine
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
  readonly begun: LedgerEntry
  readonly made: LedgerEntry
  readonly proof: LedgerEntry
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

/** Small, because it signs often: who compares what is tested, and not RSA. */
const keys = generateKeyPairSync('rsa', { modulusLength: 1024 })
const { certificate } = authority('CN=partners', undefined, {}, keys)

export const us = {
  vault: 'contoso-hsm.vault.azure.net',
  key: 'https://contoso-hsm.vault.azure.net/keys/partner-signing',
  keyId: `https://contoso-hsm.vault.azure.net/keys/partner-signing/${'0a1b'.repeat(8)}`,
  oid: '51000000-0000-4000-8000-000000000001',
  headsKey: 'https://contoso-hsm.vault.azure.net/keys/ledger-heads',
  headsKeyId: `https://contoso-hsm.vault.azure.net/keys/ledger-heads/${'1c2d'.repeat(8)}`,
  clientId: '11111111-0000-4000-8000-000000000001',
  servicePrincipal: '11111111-0000-4000-8000-0000000000b1',
  tenant: 'fab00000-0000-4000-8000-000000000002',
  der: certificate.raw,
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
  readonly signingInput: string
}

const base64url = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
export const sha256 = (data: string | Buffer) =>
  createHash('sha256').update(data).digest('base64url')

/** Of an assertion of five minutes. */
export const signingInputOf = (jti: string, exp: number): string =>
  `${base64url({ alg: 'PS256', typ: 'JWT' })}.${base64url({ jti, exp })}`

const endOf = (atMs: number) => Math.floor(atMs / 1000) + 300

/** By the key itself, whoever asks. */
export const signedByKey = (signingInput: string): Buffer =>
  sign('sha256', Buffer.from(signingInput), {
    key: keys.privateKey,
    padding: constants.RSA_PKCS1_PSS_PADDING,
    saltLength: constants.RSA_PSS_SALTLEN_DIGEST,
  })

export const madeEntry = (
  atMs: number,
  signature: string,
  vaultRequestId: string,
  value: Buffer,
): LedgerEntry => ({
  kind: 'signature.made',
  atMs,
  signature,
  vaultRequestId,
  signatureSha256: sha256(value),
})

export const proofEntry = (
  atMs: number,
  signature: string,
  signingInput: string,
  value: Buffer,
): LedgerEntry => ({
  kind: 'signature.proved',
  atMs: (endOf(atMs) + 615) * 1000,
  signature,
  signingInput,
  signatureValue: value.toString('base64url'),
})

/** It is made, and proved when it is dead. */
function make(
  story: Story,
  atMs: number,
  { requestId, signature, signingInput }: SignatureOfStory,
): { readonly made: LedgerEntry; readonly proof: LedgerEntry } {
  const value = signedByKey(signingInput)
  const made = madeEntry(atMs + 70, signature, requestId, value)
  const proof = proofEntry(atMs, signature, signingInput, value)
  story.entries.push(made, proof)
  return { made, proof }
}

const nonceFrom = (random: Random): string =>
  Buffer.from(Array.from({ length: 16 }, () => Math.floor(random() * 256))).toString('base64url')

export const nonceSha256 = (nonce: string): string => sha256(nonce)

function begin(story: Story, atMs: number, random: Random, purpose = 'exchange'): SignatureOfStory {
  const signature = newId()
  const signingInput = signingInputOf(signature, endOf(atMs))
  const nonce = nonceFrom(random)
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
    digest: sha256(signingInput),
    nonceSha256: nonceSha256(nonce),
    expiresAtSeconds: endOf(atMs),
  }
  story.entries.push(begun)
  return { requestId: newId(), nonce, signature, begun, signingInput }
}

/** Of a signature that the vault's log has: nothing is left of it, its begin alone, and its end too without a proof. */
const aftermathOf = (requestId: string): readonly (readonly string[])[] => [
  [`sign.unexplained ${requestId}`],
  [`sign.assumed ${requestId}`],
  [`sign.unproved(missing) ${requestId}`],
]

/** A token is obtained: a signature, its record, an exchange and its sign-in. */
function obtain(story: Story, atMs: number, skewMs: number, random: Random): void {
  const one = begin(story, atMs, random)
  const { requestId, nonce, signature, begun } = one
  const line = vaultLine(atMs + 30 + skewMs, requestId, { userAgent: userAgentOf(nonce) })
  const { made, proof } = make(story, atMs, one)
  const traceId = newId()
  story.vaultLines.push(line)
  const exchange = {
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
  }
  story.entries.push(exchange)
  story.signIns.push(signInLine(atMs + 150, traceId))
  story.traces.push({
    entries: [begun, made, exchange, proof],
    aftermath: [...aftermathOf(requestId), [`sign.unproved(missing) ${requestId}`]],
    signIn: { id: traceId, atMs: atMs + 150, knownFrom: 3 },
  })
  story.untouched.push({ requestId, atMs, nonce, begun, made, proof, line })
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
export function claim(
  story: Story,
  atMs: number,
  vaultRequestId: string,
  random: Random,
  as: Claimed = {},
): SignatureOfStory {
  const one = begin(story, atMs, random)
  const { digestOf = one.signingInput, value = signedByKey('whatever else it was') } = as
  const begun = { ...one.begun, digest: sha256(digestOf), expiresAtSeconds: as.exp ?? endOf(atMs) }
  replace(story.entries, one.begun, [
    begun,
    madeEntry(atMs + 70, one.signature, vaultRequestId, value),
  ])
  return { ...one, begun }
}

/** What somebody says of a signature that is none of the service's. */
interface Claimed {
  /** Absent: an innocent assertion, which nobody ever signed. */
  readonly digestOf?: string
  /** Absent: the signature that was made. */
  readonly value?: Buffer
  readonly exp?: number
}

export interface Lost {
  readonly nonce: string
  readonly atMs: number
  readonly skewMs: number
  readonly wasMade: boolean
}

/** The reply is lost, before the vault signed or after; or the service dies while it waits. */
export function lose(story: Story, atMs: number, skewMs: number, random: Random): Lost {
  const { requestId, nonce, signature, begun } = begin(story, atMs, random)
  const wasMade = random() < 0.6
  if (wasMade) {
    const userAgent = userAgentOf(nonce)
    story.vaultLines.push(vaultLine(atMs + 30 + skewMs, requestId, { userAgent }))
    story.expected.add(`sign.assumed ${requestId}`)
  }
  if (wasMade) {
    const [unexplained = [], assumed = []] = aftermathOf(requestId)
    story.traces.push({ entries: [begun], aftermath: [unexplained, assumed] })
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
  const one = begin(story, atMs, random, 'hand-out')
  const { requestId, nonce, signature } = one
  story.vaultLines.push(vaultLine(atMs + 30 + skewMs, requestId, { userAgent: userAgentOf(nonce) }))
  const { made, proof } = make(story, atMs, one)
  const issued = {
    kind: 'assertion.issued',
    atMs: atMs + 90,
    attempt: 'a',
    caller: { issuer: 'github', subject: 's' },
    grant: 'deploy',
    application: 'events',
    tenant: us.tenant,
    signature,
    assertionSha256: 'a',
    expiresAtSeconds: endOf(atMs),
  }
  story.entries.push(issued)
  const signIn = { id: newId(), atMs: atMs + 60_000, knownFrom: Infinity }
  const isUsed = random() < 0.5
  if (isUsed) {
    story.signIns.push(signInLine(signIn.atMs, signIn.id))
    story.expected.add(`signin.ambiguous ${signIn.id}`)
  }
  story.traces.push({
    entries: [one.begun, made, issued, proof],
    aftermath: [...aftermathOf(requestId), [`sign.unproved(missing) ${requestId}`]],
    ...(isUsed ? { signIn } : {}),
    handedOut: { entry: 3, fromMs: atMs, toMs: endOf(atMs) * 1000 },
  })
}

type ActKind = typeof obtain

const ordinary: readonly ActKind[] = [...Array<ActKind>(6).fill(obtain), throttled, handOut, lose]
/** Of which nothing is found, and nothing is left to be assumed. */
const calm: readonly ActKind[] = [...Array<ActKind>(6).fill(obtain), throttled]

/**
 * A day and more of ordinary traffic, or so many hours, with what goes wrong by itself. One act in ten minutes at most, so that
 * what is done to one is not mixed up with another; a reader of the key shows every ten minutes that the log
 * is delivered.
 */
export const ordinaryStory = (random: Random, hoursMin = 24): Story =>
  storyWith(ordinary, hoursMin, random)

/** The same, when nothing goes wrong. */
export const calmStory = (random: Random, hoursMin = 24): Story => storyWith(calm, hoursMin, random)

function storyWith(kinds: readonly ActKind[], hoursMin: number, random: Random): Story {
  const startMs = Date.UTC(2026, 10, 20)
  const hours = hoursMin + Math.floor(random() * hoursMin)
  const story: Story = {
    entries: [
      { kind: 'service.started', atMs: startMs, version: '1' },
      {
        kind: 'certificate.loaded',
        atMs: startMs,
        certificate: 'partners',
        keyId: us.keyId,
        thumbprintSha256: sha256(us.der),
        notAfterSeconds: 4_000_000_000,
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
    traces: [],
    heads: [],
    falseProofs: 0,
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
  for (let atMs = startMs + 2 * hour; atMs < story.nowMs - 2 * hour; atMs += headEveryMs) {
    planHead(story, atMs + Math.floor((10 + random() * 40) * minute), skewMs, random)
  }
  return story
}

const headEveryMs = 4 * hour

/** Signed by a key of its own, in the same vault. */
function planHead(story: Story, atMs: number, skewMs: number, random: Random): void {
  const [signature, requestId, nonce] = [newId(), newId(), nonceFrom(random)]
  const line = vaultLine(atMs + 30 + skewMs, requestId, {
    userAgent: userAgentOf(nonce),
    id: us.headsKeyId,
  })
  story.vaultLines.push(line)
  story.heads.push({ atMs, signature, requestId, nonce, line })
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
