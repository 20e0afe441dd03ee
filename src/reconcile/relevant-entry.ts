import { isObject, type Members } from '../base/json-object.ts'
import { parseJson } from '../base/parse-json.ts'
import { numberIn, textIn } from './json-members.ts'
import { Mould, Moulds, variablesIn } from './mould.ts'
import type { BegunFacts, OutcomeFacts } from './signature-book.ts'

/** What an entry says of signatures, their proofs, or their use. */
export type ToldEntry = { readonly atMs: number } & (
  | { readonly kind: 'begun'; readonly signature: string; readonly begun: BegunFacts }
  | { readonly kind: 'ended'; readonly signature: string; readonly outcome: OutcomeFacts }
  | { readonly kind: 'proof'; readonly proof: PublishedProof }
  | { readonly kind: 'key'; readonly keyId: string; readonly publicKey: PublicKey }
  | { readonly kind: 'exchange'; readonly exchange: ToldExchange }
  | { readonly kind: 'assertion'; readonly assertion: ToldAssertion }
  /** A process began, or ended and left signatures that it will never prove. */
  | { readonly kind: 'run' }
)

/** What was signed, whole. */
export interface PublishedProof {
  readonly signature: string
  /** First two parts of a compact JWS (RFC 7515 §5.1). */
  readonly signingInput: string
  /** base64url. */
  readonly signatureValue: string
}

/** As the ledger has it on record. */
export type PublicKey =
  | { readonly kind: 'certificate'; readonly der: Buffer }
  | { readonly kind: 'head'; readonly jwk: Members }

export interface ToldExchange {
  readonly application: string
  readonly tenant: string
  readonly traceId?: string
  readonly uti?: string
  /** Entra may have answered, and nobody knows. */
  readonly isUnanswered: boolean
}

export interface ToldAssertion {
  readonly application: string
  readonly tenant: string
  /** NaN where the entry does not say. */
  readonly expiresAtSeconds: number
}

/** An entry's members, wherever they are read from. */
interface Told {
  text(name: string): string | undefined
  number(name: string): number | undefined
}

type Read = (told: Told, atMs: number) => ToldEntry | undefined

/** Kinds of which there are many, with the members that are looked at: all of them flat. */
const frequent: Readonly<
  Record<string, { readonly read: Read; readonly names: readonly string[] }>
> = {
  'signature.begun': {
    read: begunFrom,
    names: [
      ...['atMs', 'signature', 'attempt', 'purpose', 'keyId', 'algorithm', 'digest'],
      ...['nonceSha256', 'expiresAtSeconds'],
    ],
  },
  'signature.made': {
    read: madeFrom,
    names: ['atMs', 'signature', 'vaultRequestId', 'signatureSha256'],
  },
  'signature.failed': {
    read: failedFrom,
    names: ['atMs', 'signature', 'vaultRequestId', 'applied'],
  },
  'signature.proved': {
    read: proofFrom,
    names: ['atMs', 'signature', 'signingInput', 'signatureValue'],
  },
  'exchange.succeeded': {
    read: exchangeFrom,
    names: ['atMs', 'application', 'tenant', 'traceId', 'uti', 'applied'],
  },
  'exchange.failed': {
    read: exchangeFrom,
    names: ['atMs', 'application', 'tenant', 'traceId', 'uti', 'applied'],
  },
}

type ReadRare = (entry: Members, atMs: number) => ToldEntry | 'other' | undefined

const rare: Readonly<Record<string, ReadRare>> = {
  'certificate.loaded': certificateFrom,
  'head.key-loaded': headKeyFrom,
  'head.signed': headFrom,
  'assertion.issued': assertionFrom,
  'service.started': (_, atMs) => ({ kind: 'run', atMs }),
  'service.stopped': (entry, atMs) =>
    numberIn(entry, 'unproved') === 0 ? 'other' : { kind: 'run', atMs },
}

const kinds = [...Object.keys(frequent), ...Object.keys(rare)]
const kindSet: ReadonlySet<string> = new Set(kinds)
const mark = Buffer.from('"kind":"')
/**
 * Canonical JSON has no white space, and a quotation mark inside a string is escaped: these bytes are
 * in an entry only as a member `kind`. Most entries are told apart by them without being parsed.
 */
const relevantMarks = kinds.map((kind) => Buffer.from(`"kind":"${kind}"`))
const quote = 0x22

/** Reads the entries of one ledger. */
export class EntryReader {
  readonly #moulds = new Moulds<Read>()

  /** What it says of signatures; `other` when it says nothing of them; undefined when it is no entry. */
  read(canonical: Uint8Array): ToldEntry | 'other' | undefined {
    const bytes = Buffer.isBuffer(canonical)
      ? canonical
      : Buffer.from(canonical.buffer, canonical.byteOffset, canonical.byteLength)
    const kept = this.#moulds.find(bytes, 0, bytes.length)
    if (kept !== undefined) return entryFrom(kept.mould, kept.common)
    if (!mayBeRelevant(bytes)) return 'other'
    const entry = parseJson(bytes.toString())
    if (!isObject(entry)) return undefined
    const atMs = numberIn(entry, 'atMs')
    const kind = entry['kind']
    if (atMs === undefined) return undefined
    // The bytes of a kind stand in a member of a member: the entry is of another.
    if (typeof kind !== 'string' || !kindSet.has(kind)) return 'other'
    const known = frequent[kind]
    if (known === undefined) return rare[kind]?.(entry, atMs)
    this.#learn(bytes, entry, known)
    return known.read(membersTold(entry), atMs)
  }

  #learn(
    bytes: Buffer,
    entry: Members,
    { read, names }: { readonly read: Read; readonly names: readonly string[] },
  ): void {
    if (!this.#moulds.hasRoom) return
    const variables = variablesIn(bytes, (path) => path !== 'kind')
    if (variables === undefined) return
    const mould = new Mould(bytes, variables)
    // What is no variable is told by the mould as if it were not there.
    const isTold = (name: string) =>
      mould.has(name) || entry[name] === undefined || entry[name] === ''
    if (names.every(isTold)) this.#moulds.keep(mould, read)
  }
}

const entryFrom = (told: Told, read: Read): ToldEntry | undefined => {
  const atMs = told.number('atMs')
  return atMs === undefined ? undefined : read(told, atMs)
}

const membersTold = (entry: Members): Told => ({
  text: (name) => textIn(entry, name),
  number: (name) => numberIn(entry, name),
})

function mayBeRelevant(bytes: Buffer): boolean {
  const first = bytes.indexOf(mark)
  if (first === -1) return false
  const from = first + mark.length
  const isOnly = bytes.indexOf(mark, from) === -1
  if (isOnly) return kindSet.has(bytes.toString('latin1', from, bytes.indexOf(quote, from)))
  return relevantMarks.some((one) => bytes.includes(one))
}

function begunFrom(told: Told, atMs: number): ToldEntry | undefined {
  const signature = told.text('signature')
  const attempt = told.text('attempt')
  const keyId = told.text('keyId')
  const algorithm = told.text('algorithm')
  const nonceSha256 = told.text('nonceSha256')
  if (signature === undefined || attempt === undefined || keyId === undefined) return undefined
  if (algorithm === undefined || nonceSha256 === undefined) return undefined
  const isHead = told.text('purpose') === 'head'
  const digest = told.text('digest') ?? ''
  const expiresAtSeconds = told.number('expiresAtSeconds')
  const begun = { atMs, attempt, isHead, keyId, algorithm, nonceSha256, digest }
  return {
    kind: 'begun',
    atMs,
    signature,
    begun: expiresAtSeconds === undefined ? begun : { ...begun, expiresAtSeconds },
  }
}

function madeFrom(told: Told, atMs: number): ToldEntry | undefined {
  const signature = told.text('signature')
  const vaultRequestId = told.text('vaultRequestId')?.toLowerCase()
  if (signature === undefined || vaultRequestId === undefined) return undefined
  const signatureSha256 = told.text('signatureSha256') ?? ''
  const outcome: OutcomeFacts = { kind: 'signature.made', atMs, vaultRequestId, signatureSha256 }
  return { kind: 'ended', atMs, signature, outcome }
}

function failedFrom(told: Told, atMs: number): ToldEntry | undefined {
  const signature = told.text('signature')
  const applied = told.text('applied')
  if (signature === undefined || (applied !== 'no' && applied !== 'unknown')) return undefined
  const vaultRequestId = told.text('vaultRequestId')?.toLowerCase()
  const outcome: OutcomeFacts = {
    kind: 'signature.failed',
    atMs,
    applied,
    ...(vaultRequestId === undefined ? {} : { vaultRequestId }),
  }
  return { kind: 'ended', atMs, signature, outcome }
}

/** One that is not whole proves nothing, and shows that somebody wrote what the service does not. */
function proofFrom(told: Told, atMs: number): ToldEntry | undefined {
  const signature = told.text('signature')
  if (signature === undefined) return undefined
  const signingInput = told.text('signingInput') ?? ''
  const signatureValue = told.text('signatureValue') ?? ''
  return { kind: 'proof', atMs, proof: { signature, signingInput, signatureValue } }
}

/** A head is its own proof: it is no secret when it is signed. */
function headFrom(entry: Members, atMs: number): ToldEntry | undefined {
  const signature = textIn(entry, 'signature')
  if (signature === undefined) return undefined
  const head = textIn(entry, 'head') ?? ''
  const cut = head.lastIndexOf('.')
  const signingInput = head.slice(0, Math.max(cut, 0))
  const proof = { signature, signingInput, signatureValue: head.slice(cut + 1) }
  return { kind: 'proof', atMs, proof }
}

function exchangeFrom(told: Told, atMs: number): ToldEntry {
  const traceId = told.text('traceId')
  const uti = told.text('uti')
  const exchange = {
    application: told.text('application') ?? '',
    tenant: told.text('tenant')?.toLowerCase() ?? '',
    ...(traceId === undefined ? {} : { traceId }),
    ...(uti === undefined ? {} : { uti }),
    isUnanswered: traceId === undefined && told.text('applied') === 'unknown',
  }
  return { kind: 'exchange', atMs, exchange }
}

function assertionFrom(entry: Members, atMs: number): ToldEntry {
  const assertion = {
    application: textIn(entry, 'application') ?? '',
    tenant: textIn(entry, 'tenant')?.toLowerCase() ?? '',
    expiresAtSeconds: Number(entry['expiresAtSeconds']),
  }
  return { kind: 'assertion', atMs, assertion }
}

function certificateFrom(entry: Members, atMs: number): ToldEntry | undefined {
  const keyId = textIn(entry, 'keyId')
  if (keyId === undefined) return undefined
  const der = Buffer.from(textIn(entry, 'der') ?? '', 'base64')
  return { kind: 'key', atMs, keyId, publicKey: { kind: 'certificate', der } }
}

function headKeyFrom(entry: Members, atMs: number): ToldEntry | undefined {
  const keyId = textIn(entry, 'keyId')
  if (keyId === undefined) return undefined
  const jwk = isObject(entry['publicKey']) ? entry['publicKey'] : {}
  return { kind: 'key', atMs, keyId, publicKey: { kind: 'head', jwk } }
}
