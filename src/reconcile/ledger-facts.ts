import { hash } from 'node:crypto'
import { isObject } from '../base/json-object.ts'
import { parseJson } from '../base/parse-json.ts'
import { chainFault, genesis, isCutAt } from '../ledger/chain.ts'
import type { ChainFault, Link, Row } from '../ledger/chain.ts'
import type { ChainCheck } from '../ledger/chain-check.ts'
import { parseCut } from '../ledger/cut.ts'
import { LedgerFileError, sqliteBusy, sqliteCode } from '../ledger/ledger-file.ts'
import { ExchangeBook } from './exchange-book.ts'
import { evidenceMax } from './kept-evidence.ts'
import { numberIn } from './json-members.ts'
import { keyNameText, parseKeyUrl } from './key-name.ts'
import { ProofBook } from './proof-book.ts'
import type { ProofFlaw } from './proof-book.ts'
import { EntryReader } from './relevant-entry.ts'
import type { PublicKey } from './relevant-entry.ts'
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
  /** Answered by the vault: that it signed, or that it did not. */
  readonly answered: SignatureBook
  /** Never had: the vault may have made them all the same. By the hash of their nonces. */
  readonly lost: ReadonlyMap<string, SignatureFacts>
  /** Claim an answer of the vault that another one has claimed before. */
  readonly claimedAgain: readonly SignatureFacts[]
  /** What was published of a signature that is not proved, by its ordinal, and why it proves nothing. */
  readonly proofFaults: ReadonlyMap<number, ProofFlaw>
  /** When processes began, or ended with signatures that they will never prove; in the order of the ledger. */
  readonly runsMs: readonly number[]
  /** Keys that the service has used, whatever version, as `keyNameText` has them. */
  readonly keys: ReadonlySet<string>
  /** Thumbprints of our certificates: hex of SHA-1 and of SHA-256, in upper case. */
  readonly thumbprints: ReadonlySet<string>
  readonly exchanges: ExchangeBook
  readonly counts: LedgerCounts
  /** Of the first entry and the last; absent when there are none. */
  readonly fromMs?: number
  /**
   * What was signed until then may be in entries that were pruned: the first one that is left, and what may have been
   * under way. Absent where nothing was pruned, or it is all here again.
   */
  readonly prunedUntilMs?: number
  /** The first one. What comes after it has been read all the same, and proves nothing. */
  readonly fault?: LedgerFault
  /** Of `lost` and `claimedAgain`: more than are kept. */
  readonly left: number
}

/** Longer than a signature is waited for, with what clocks differ by. */
const crossingMs = 120_000

export interface LedgerCounts {
  readonly entries: number
  readonly signaturesBegun: number
  readonly signaturesMade: number
  /** Failed, and the vault did not sign. */
  readonly signaturesRefused: number
  /** No answer known: the service died, or the reply was lost. */
  readonly signaturesOpen: number
}

/** Rows after which is asked whether the checks beside it are behind. */
const rowsBetween = 1000

/** Takes a ledger once from end to end, has its chain checked, and keeps what it says of signatures. */
export class LedgerCollector {
  readonly #chain: ChainCheck
  readonly #reader = new EntryReader()
  readonly #answered = new SignatureBook()
  readonly #proofs = new ProofBook(this.#answered)
  readonly #runsMs: number[] = []
  readonly #lost = new Map<string, SignatureFacts>()
  readonly #claimedAgain: SignatureFacts[] = []
  readonly #exchanges = new ExchangeBook()
  readonly #keys = new Set<string>()
  readonly #thumbprints = new Set<string>()
  /** Begun, and not ended so far: as many as the service waits for. */
  readonly #open = new Map<string, BegunFacts>()
  readonly #keyIds = new Set<string>()
  #last: Link = genesis
  /** The first entries that there were are not here. */
  #isPruned = false
  /** By the clock of who pruned. */
  #prunedAtMs: number | undefined
  /** When the first one was written that is left. */
  #leftFromMs: number | undefined
  #entries = 0
  #begun = 0
  #made = 0
  #refused = 0
  #unanswered = 0
  #left = 0
  #fromMs: number | undefined
  /** The first entry that cannot be read, and how many come before it. */
  #unreadable: { readonly place: number; readonly fault: LedgerFault } | undefined

  /** @param chain Of this ledger alone; to be ended by whoever made it. */
  constructor(chain: ChainCheck) {
    this.#chain = chain
  }

  /**
   * What is known from before: of the rows that are taken next, the first is to be chained to `behind`.
   *
   * @param rows Earlier ones, such as of keys and certificates: what they say counts, and their places do not.
   */
  recall(rows: Iterable<Row>, behind: Link): void {
    for (const row of rows) this.#takeEntry(row)
    this.#continueFrom(behind)
  }

  /**
   * All rows, or those that follow the ones before. Chain and proofs are checked beside it: wait for `settled` before
   * the facts.
   *
   * @throws LedgerFileError when the file cannot be opened, and what only keeps it from being read now; damage is a
   * fault.
   */
  async take(rows: Iterable<Row>): Promise<void> {
    const reading = rows[Symbol.iterator]()
    try {
      while (this.#takeSome(reading)) {
        await this.#chain.caughtUp()
        await this.#proofs.caughtUp()
      }
    } finally {
      reading.return?.()
    }
  }

  async settled(): Promise<void> {
    await this.#chain.settled()
    await this.#proofs.settled()
  }

  facts(): LedgerFacts {
    const fault = this.#firstFault()
    for (const [signature, begun] of this.#open) this.#lose({ signature, begun })
    return {
      answered: this.#answered,
      lost: this.#lost,
      claimedAgain: this.#claimedAgain,
      proofFaults: this.#proofs.faults,
      runsMs: this.#runsMs,
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
      ...(this.#leftFromMs === undefined ? {} : { prunedUntilMs: this.#leftFromMs + crossingMs }),
      ...(fault === undefined ? {} : { fault }),
      left: this.#left,
    }
  }

  /** False when these were all. */
  #takeSome(rows: Iterator<Row>): boolean {
    try {
      for (let count = 0; count < rowsBetween && !this.#chain.isAhead; count += 1) {
        const next = rows.next()
        if (next.done === true) return false
        this.#takeRow(next.value)
      }
      return true
    } catch (error) {
      if (!isDamage(error)) throw error
      this.#cannotRead(this.#last.sequence + 1, error.message)
      return false
    }
  }

  #takeRow(row: Row): void {
    if (row.isCut === true && this.#isInPlace(row)) {
      this.#isPruned ||= this.#entries === 0
      this.#takeCut(row)
      this.#continueFrom(row)
      return
    }
    if (this.#isPruned) this.#leftFromMs ??= this.#beginsAtMs(row)
    this.#chain.take(row)
    if (!this.#takeEntry(row)) this.#cannotRead(row.sequence, 'it is no entry')
    this.#last = row
    this.#entries += 1
  }

  #continueFrom(link: Link): void {
    this.#chain.continueFrom(link)
    this.#last = link
  }

  #cannotRead(sequence: number, reason: string): void {
    const fault = { fault: 'unreadable', sequence, reason } as const
    this.#unreadable ??= { place: this.#entries, fault }
  }

  /** Of one entry that it is not chained comes first. */
  #firstFault(): LedgerFault | undefined {
    const { found } = this.#chain
    if (found === undefined || this.#unreadable === undefined) {
      return found?.fault ?? this.#unreadable?.fault
    }
    return found.place <= this.#unreadable.place ? found.fault : this.#unreadable.fault
  }

  /** False when the row is no entry. */
  #takeEntry({ canonical }: Row): boolean {
    const entry = this.#reader.read(canonical)
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
        this.#takeKey(entry.keyId, entry.publicKey)
        return true
      case 'proof':
        this.#proofs.take(entry.proof)
        return true
      case 'exchange':
        this.#exchanges.take(entry.exchange, entry.atMs)
        return true
      case 'assertion':
        this.#exchanges.handOut(entry.assertion, entry.atMs)
        return true
      case 'run':
        if (this.#runsMs.length < evidenceMax) this.#runsMs.push(entry.atMs)
        return true
    }
  }

  #end(signature: string, outcome: OutcomeFacts): void {
    const begun = this.#open.get(signature)
    // It began in what was pruned: nothing can be said of it here, and its record is not decided either.
    if (begun === undefined && this.#isCrossing(outcome)) return
    this.#open.delete(signature)
    if (outcome.kind === 'signature.made') this.#made += 1
    else if (outcome.applied === 'no') this.#refused += 1
    else this.#unanswered += 1
    // The id of an answer that told nothing explains nothing: whoever keeps a signature can say it failed.
    if (outcome.applied === 'unknown' && begun !== undefined) {
      this.#lose({ signature, begun, outcome })
      return
    }
    const { vaultRequestId } = outcome
    if (vaultRequestId === undefined) return
    const ordinal = this.#answered.add(vaultRequestId, begun, outcome)
    if (ordinal === undefined) {
      const facts = { signature, ...(begun === undefined ? {} : { begun }), outcome }
      if (this.#claimedAgain.length < evidenceMax) this.#claimedAgain.push(facts)
      else this.#left += 1
    } else if (outcome.signatureSha256 !== undefined && begun !== undefined) {
      this.#proofs.expect(signature, ordinal, begun, outcome.signatureSha256)
    }
  }

  #lose(facts: SignatureFacts & { readonly begun: BegunFacts }): void {
    if (this.#lost.size < evidenceMax) this.#lost.set(facts.begun.nonceSha256, facts)
    else this.#left += 1
  }

  #takeKey(keyId: string, publicKey: PublicKey): void {
    this.#proofs.key(keyId, publicKey)
    if (publicKey.kind === 'head' || publicKey.der.length === 0) return
    for (const algorithm of ['sha1', 'sha256']) {
      this.#thumbprints.add(hash(algorithm, publicKey.der, 'hex').toUpperCase())
    }
  }

  /** Nobody prunes what is still to be written: a later time than that of the pruning says nothing. */
  #beginsAtMs(row: Row): number | undefined {
    const atMs = timeIn(row)
    return atMs === undefined ? this.#prunedAtMs : Math.min(atMs, this.#prunedAtMs ?? Infinity)
  }

  /** Whether a cut stands where it may. Where this continues nothing, what was to be continued was pruned since. */
  #isInPlace(cut: Row): boolean {
    const last = this.#last
    return (
      isCutAt(last, cut) ||
      chainFault(last, cut) === undefined ||
      (this.#entries === 0 && cut.sequence > last.sequence)
    )
  }

  /** Keys and certificates that were on record before count from the beginning. */
  #takeCut({ canonical }: Row): void {
    const cut = parseCut(canonical)
    this.#prunedAtMs = cut?.atMs
    for (const { keyId, publicKey } of cut?.headKeys ?? []) {
      this.#keyIdFrom(keyId)
      this.#takeKey(keyId, { kind: 'head', jwk: publicKey })
    }
    for (const { keyId, der } of cut?.certificates ?? []) {
      this.#keyIdFrom(keyId)
      this.#takeKey(keyId, { kind: 'certificate', der: Buffer.from(der, 'base64') })
    }
  }

  #isCrossing({ atMs }: OutcomeFacts): boolean {
    return this.#leftFromMs !== undefined && atMs <= this.#leftFromMs + crossingMs
  }

  #keyIdFrom(text: string): void {
    if (this.#keyIds.has(text)) return
    this.#keyIds.add(text)
    const key = parseKeyUrl(text)
    if (key !== undefined) this.#keys.add(keyNameText(key))
  }
}

const isDamage = (error: unknown): error is Error =>
  error instanceof Error && !(error instanceof LedgerFileError) && sqliteCode(error) !== sqliteBusy

const timeIn = ({ canonical }: Row): number | undefined => {
  const entry = parseJson(Buffer.from(canonical).toString())
  return isObject(entry) ? numberIn(entry, 'atMs') : undefined
}
