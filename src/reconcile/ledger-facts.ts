import { hash } from 'node:crypto'
import { genesis } from '../ledger/chain.ts'
import type { ChainFault, Link, Row } from '../ledger/chain.ts'
import { LedgerFileError } from '../ledger/ledger-file.ts'
import { walkChain } from '../ledger/verify.ts'
import { ExchangeBook } from './exchange-book.ts'
import { isObject, numberIn, parseJson, textIn } from './json-members.ts'
import type { Members } from './json-members.ts'
import { keyNameText, parseKeyUrl } from './key-name.ts'
import { SignatureBook } from './signature-book.ts'
import type { BegunFacts, OutcomeFacts, SignatureFacts } from './signature-book.ts'

/** Where a ledger stops being what the service wrote. */
export type LedgerFault =
  | ChainFault
  /** This entry, or the file after it, cannot be read. */
  | { readonly fault: 'unreadable'; readonly sequence: number; readonly reason: string }
  /** The chain holds, and heads, anchors or proofs say otherwise. */
  | { readonly fault: 'evidence'; readonly reason: string }

export interface LedgerFacts {
  /** Answered by the vault. */
  readonly answered: SignatureBook
  /** Not answered, so that the vault may have made them unseen, by the hash of their nonces. */
  readonly lost: ReadonlyMap<string, SignatureFacts>
  /** Claim an answer of the vault that another one has claimed before. */
  readonly claimedAgain: readonly SignatureFacts[]
  /** Keys that the service has used, whatever version, as `keyNameText` has them. */
  readonly keys: ReadonlySet<string>
  /** Thumbprints of our certificates: hex of SHA-1 and of SHA-256, in upper case. */
  readonly thumbprints: ReadonlySet<string>
  readonly exchanges: ExchangeBook
  readonly counts: LedgerCounts
  /** Of the first entry and the last; absent when there are none. */
  readonly fromMs?: number
  /** The first one. What comes after it has been read all the same, and proves nothing. */
  readonly fault?: LedgerFault
}

export interface LedgerCounts {
  readonly entries: number
  readonly signaturesBegun: number
  readonly signaturesMade: number
  /** Failed, and the vault did not sign. */
  readonly signaturesRefused: number
  /** No answer known: the service died, or the reply was lost. */
  readonly signaturesOpen: number
}

/**
 * Canonical JSON has no white space, and a quotation mark inside a string is escaped: these bytes are
 * in an entry only as its member `kind`. Most entries are told apart by them without being parsed.
 */
const relevantKinds = [
  'signature.begun',
  'signature.made',
  'signature.failed',
  'certificate.loaded',
  'exchange.succeeded',
  'exchange.failed',
  'assertion.issued',
  'head.key-loaded',
].map((kind) => Buffer.from(`"kind":"${kind}"`))

/** Takes a ledger once from end to end, verifies its chain, and keeps what it says of signatures. */
export class LedgerCollector {
  readonly #answered = new SignatureBook()
  readonly #lost = new Map<string, SignatureFacts>()
  readonly #claimedAgain: SignatureFacts[] = []
  readonly #exchanges = new ExchangeBook()
  readonly #keys = new Set<string>()
  readonly #thumbprints = new Set<string>()
  /** Begun, and not ended so far: as many as the service waits for. */
  readonly #open = new Map<string, BegunFacts>()
  readonly #keyIds = new Set<string>()
  #last: Link = genesis
  #entries = 0
  #begun = 0
  #made = 0
  #refused = 0
  #unanswered = 0
  #fromMs: number | undefined
  #fault: LedgerFault | undefined

  /**
   * All rows, or those that follow the ones before.
   *
   * @throws LedgerFileError when the file cannot be opened; damage further on is a fault.
   */
  take(rows: Iterable<Row>): void {
    try {
      for (const { row, fault } of walkChain(rows, this.#last)) {
        this.#fault ??= fault
        if (!this.#takeEntry(row)) this.#cannotRead(row.sequence, 'it is no entry')
        this.#last = row
        this.#entries += 1
      }
    } catch (error) {
      if (error instanceof LedgerFileError || !(error instanceof Error)) throw error
      this.#cannotRead(this.#last.sequence + 1, error.message)
    }
  }

  facts(): LedgerFacts {
    for (const [signature, begun] of this.#open) {
      this.#lost.set(begun.nonceSha256, { signature, begun })
    }
    return {
      answered: this.#answered,
      lost: this.#lost,
      claimedAgain: this.#claimedAgain,
      keys: this.#keys,
      thumbprints: this.#thumbprints,
      exchanges: this.#exchanges,
      counts: {
        entries: this.#entries,
        signaturesBegun: this.#begun,
        signaturesMade: this.#made,
        signaturesRefused: this.#refused,
        signaturesOpen: this.#unanswered + this.#open.size,
      },
      ...(this.#fromMs === undefined ? {} : { fromMs: this.#fromMs }),
      ...(this.#fault === undefined ? {} : { fault: this.#fault }),
    }
  }

  #cannotRead(sequence: number, reason: string): void {
    this.#fault ??= { fault: 'unreadable', sequence, reason }
  }

  /** False when the row is no entry. */
  #takeEntry({ canonical }: Row): boolean {
    const entry = relevantEntry(canonical)
    if (entry === 'other') return true
    if (entry === undefined) return false
    this.#fromMs ??= entry.atMs
    switch (entry.kind) {
      case 'begun':
        this.#keyIdFrom(entry.begun.keyId)
        this.#open.set(entry.signature, entry.begun)
        this.#begun += 1
        return true
      case 'ended':
        this.#end(entry.signature, entry.outcome)
        return true
      case 'key':
        this.#keyIdFrom(entry.keyId)
        for (const thumbprint of entry.thumbprints) this.#thumbprints.add(thumbprint)
        return true
      case 'exchange':
        this.#exchanges.take(entry.members, entry.atMs)
        return true
    }
  }

  #end(signature: string, outcome: OutcomeFacts): void {
    const begun = this.#open.get(signature)
    this.#open.delete(signature)
    if (outcome.kind === 'signature.made') this.#made += 1
    else if (outcome.applied === 'no') this.#refused += 1
    else this.#unanswered += 1
    const facts = { signature, ...(begun === undefined ? {} : { begun }), outcome }
    const { vaultRequestId } = outcome
    if (vaultRequestId !== undefined) {
      if (!this.#answered.add(vaultRequestId, begun, outcome)) this.#claimedAgain.push(facts)
    } else if (outcome.applied === 'unknown' && begun !== undefined) {
      this.#lost.set(begun.nonceSha256, facts)
    }
  }

  #keyIdFrom(text: string): void {
    if (this.#keyIds.has(text)) return
    this.#keyIds.add(text)
    const key = parseKeyUrl(text)
    if (key !== undefined) this.#keys.add(keyNameText(key))
  }
}

type RelevantEntry = { readonly atMs: number } & (
  | { readonly kind: 'begun'; readonly signature: string; readonly begun: BegunFacts }
  | { readonly kind: 'ended'; readonly signature: string; readonly outcome: OutcomeFacts }
  | { readonly kind: 'key'; readonly keyId: string; readonly thumbprints: readonly string[] }
  | { readonly kind: 'exchange'; readonly members: Members }
)

/** What it says of signatures; `other` when it says nothing of them; undefined when it is no entry. */
export function relevantEntry(canonical: Uint8Array): RelevantEntry | 'other' | undefined {
  const bytes = Buffer.from(canonical.buffer, canonical.byteOffset, canonical.byteLength)
  if (!relevantKinds.some((kind) => bytes.includes(kind))) return 'other'
  const entry = parseJson(bytes.toString())
  if (!isObject(entry)) return undefined
  const atMs = numberIn(entry, 'atMs')
  if (atMs === undefined) return undefined
  switch (entry['kind']) {
    case 'signature.begun':
      return begunFrom(entry, atMs)
    case 'signature.made':
    case 'signature.failed':
      return endedFrom(entry, entry['kind'], atMs)
    case 'certificate.loaded':
    case 'head.key-loaded':
      return keyFrom(entry, atMs)
    case 'exchange.succeeded':
    case 'exchange.failed':
    case 'assertion.issued':
      return { kind: 'exchange', atMs, members: entry }
    default:
      // The bytes of a kind stand in a member of a member: the entry is of another.
      return 'other'
  }
}

function begunFrom(entry: Members, atMs: number): RelevantEntry | undefined {
  const signature = textIn(entry, 'signature')
  const attempt = textIn(entry, 'attempt')
  const keyId = textIn(entry, 'keyId')
  const algorithm = textIn(entry, 'algorithm')
  const nonceSha256 = textIn(entry, 'nonceSha256')
  if (signature === undefined || attempt === undefined || keyId === undefined) return undefined
  if (algorithm === undefined || nonceSha256 === undefined) return undefined
  const begun = {
    atMs,
    attempt,
    purpose: textIn(entry, 'purpose') ?? '',
    application: textIn(entry, 'application') ?? '',
    tenant: textIn(entry, 'tenant') ?? '',
    keyId,
    algorithm,
    nonceSha256,
  }
  return { kind: 'begun', atMs, signature, begun }
}

function endedFrom(
  entry: Members,
  kind: OutcomeFacts['kind'],
  atMs: number,
): RelevantEntry | undefined {
  const signature = textIn(entry, 'signature')
  const vaultRequestId = textIn(entry, 'vaultRequestId')?.toLowerCase()
  const applied = entry['applied']
  const isWhole =
    kind === 'signature.made'
      ? vaultRequestId !== undefined
      : applied === 'no' || applied === 'unknown'
  if (signature === undefined || !isWhole) return undefined
  const outcome: OutcomeFacts = {
    kind,
    atMs,
    ...(applied === 'no' || applied === 'unknown' ? { applied } : {}),
    ...(vaultRequestId === undefined ? {} : { vaultRequestId }),
  }
  return { kind: 'ended', atMs, signature, outcome }
}

function keyFrom(entry: Members, atMs: number): RelevantEntry | undefined {
  const keyId = textIn(entry, 'keyId')
  if (keyId === undefined) return undefined
  const der = Buffer.from(textIn(entry, 'der') ?? '', 'base64')
  const thumbprints =
    der.length === 0
      ? []
      : ['sha1', 'sha256'].map((algorithm) => hash(algorithm, der, 'hex').toUpperCase())
  return { kind: 'key', atMs, keyId, thumbprints }
}
