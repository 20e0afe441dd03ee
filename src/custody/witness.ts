import type { KeyObject } from 'node:crypto'
import type { Clock } from '../base/clock.ts'
import { parseJson } from '../base/parse-json.ts'
import { sha256Base64url } from '../base/sha256.ts'
import { chainFault, genesis, type Link, type Row } from '../ledger/chain.ts'
import { parseCut } from '../ledger/cut.ts'
import { kindOf } from '../ledger/entry-kind.ts'
import { ledgerIdFrom } from '../ledger/ledger-id.ts'
import { type Anchor, AnchorError } from './anchor.ts'
import { rowsBehindMax } from './damage.ts'
import { type EntryFeed, FeedError } from './entry-feed.ts'
import { compactHeadIn, isSignedBy, parseHead, type UnverifiedHead } from './head.ts'
import { compactFrom } from './own-jws.ts'
import { createRecentHashes, type RecentHashes } from './recent-hashes.ts'
import { type WitnessKey, WitnessKeyError } from './witness-key.ts'
import { type Witnessed, type WitnessStore, WitnessStoreError } from './witness-store.ts'
import { witnessSigningInput } from './witnessed-head.ts'

/** What a witness raises. */
export type WitnessAlarm =
  /** The feed tells another history than the one that was seen. */
  | {
      readonly alarm: 'feed.contradicts'
      readonly how:
        | 'rolled-back' // it ends before what was seen
        | 'rewritten' // what was seen is not there any more
        | 'broken' // what comes behind it is no chain
        | 'other-ledger' // it begins with another entry
        | 'pruned' // what follows what was seen is not there any more, and nobody can say whether it did follow
      /** Where that shows. */
      readonly sequence: number
    }
  /** The same, and the heads' own key has signed it. */
  | {
      readonly alarm: 'head.contradicts'
      readonly sequence: number
      /** The one that was witnessed before, and the one that says otherwise: compact, as evidence. */
      readonly witnessed?: string
      readonly offered: string
    }
  /** A head by no key that the witness was given. */
  | { readonly alarm: 'head.false'; readonly sequence: number; readonly offered: string }
  /** No new head for longer than heads may take. */
  | { readonly alarm: 'feed.silent'; readonly sinceMs: number }

/** What a look has come to. */
export interface Look {
  /** In the order in which they were found; empty: all that is there fits. */
  readonly alarms: readonly WitnessAlarm[]
  /** Undefined before anything was seen. */
  readonly witnessed: Witnessed | undefined
  /** Heads that were witnessed in it. */
  readonly heads: number
  /** The feed was not read to its end, or what was seen was not kept, whatever was found until then. */
  readonly failure?: LookFailure
}

export type LookFailure = FeedError | WitnessStoreError | AnchorError | WitnessKeyError

export const isLookFailure = (error: unknown): error is LookFailure =>
  [FeedError, WitnessStoreError, AnchorError, WitnessKeyError].some((kind) => error instanceof kind)

/**
 * A second party that follows the ledger, under an identity and with a key that the service has not. It counts on
 * nothing that the feed says of keys or of itself: heads are checked with the keys that it was given, and the chain
 * with what it saw before.
 */
export interface Witness {
  /**
   * Reads what has come, and witnesses the newest head of each page of it. What was witnessed is kept by every anchor
   * and then remembered, so that a kill in between has the same head witnessed once more and nothing left out.
   *
   * @throws WitnessStoreError when what was seen before cannot be read, or is not its own.
   */
  look(): Promise<Look>
}

export interface WitnessDeps {
  readonly feed: EntryFeed
  readonly store: WitnessStore
  readonly key: WitnessKey
  /** Public halves of the keys that sign heads: no other counts. */
  readonly headKeys: readonly KeyObject[]
  readonly anchors: readonly Anchor[]
  /** Of the ledger, as it was told; absent: the first that is seen is the one from then on. */
  readonly ledger?: string
  /** How long the ledger may be without a new head. */
  readonly silentAfterMs: number
  readonly clock: Clock
}

export function createWitness(deps: WitnessDeps): Witness {
  return {
    look: async () => {
      const before = await deps.store.load()
      assertOurs(before, deps)
      const look = await new Following(before, deps).toTheEnd()
      const grewAtMs = look.witnessed?.grewAtMs
      const isSilent = grewAtMs !== undefined && deps.clock.nowMs() - grewAtMs > deps.silentAfterMs
      if (!isSilent) return look
      return { ...look, alarms: [...look.alarms, { alarm: 'feed.silent', sinceMs: grewAtMs }] }
    },
  }
}

/** @throws WitnessStoreError for what another witness, or one of another ledger, has seen. */
function assertOurs(before: Witnessed | undefined, { feed, key, ledger }: WitnessDeps): void {
  if (before === undefined) return
  const isOurs =
    before.feed === feed.name &&
    before.keyId === key.keyId &&
    (ledger === undefined || before.ledger === ledger)
  if (!isOurs) throw new WitnessStoreError('WITNESS_STORE_FOREIGN')
}

/** One look, from what was seen before to what there is now; or as far as it comes while heads may not come. */
class Following {
  readonly #deps: WitnessDeps
  readonly #before: Witnessed | undefined
  readonly #recent: RecentHashes = createRecentHashes()
  readonly #untilMs: number
  #tip: Link
  #ledger: string | undefined
  #witnessed: Witnessed | undefined
  #heads = 0
  /** The newest of the page that fits. */
  #head: UnverifiedHead | undefined
  #compact: string | undefined
  #alarm: WitnessAlarm | undefined

  constructor(before: Witnessed | undefined, deps: WitnessDeps) {
    this.#deps = deps
    this.#before = before
    this.#untilMs = deps.clock.monotonicMs() + deps.silentAfterMs
    this.#tip = before?.from ?? genesis
    this.#ledger = before?.ledger
    this.#witnessed = before
    if (this.#tip.sequence > 0) this.#recent.add(this.#tip)
  }

  async toTheEnd(): Promise<Look> {
    let failure: LookFailure | undefined
    try {
      await this.#follow()
    } catch (error) {
      if (!isLookFailure(error)) throw error
      if (error.code === 'FEED_ENDS_BEFORE') this.#endsBefore()
      else failure = error
    }
    return {
      alarms: this.#alarm === undefined ? [] : [this.#alarm],
      witnessed: this.#witnessed,
      heads: this.#heads,
      ...(failure === undefined ? {} : { failure }),
    }
  }

  async #follow(): Promise<void> {
    for (;;) {
      const { sequence } = this.#tip
      const rows = await this.#deps.feed.rowsBehind(sequence)
      const fitting = rows.findIndex((row) => !this.#takes(row))
      try {
        // What comes before the first that does not fit was seen, and is remembered.
        await this.#remember()
      } finally {
        // Nothing that fails keeps it from being told.
        if (fitting !== -1) await this.#contradictedAt(rows.slice(fitting))
      }
      if (fitting !== -1) return
      if (this.#alarm !== undefined) return
      if (rows.length === 0) break
      // Otherwise a feed could keep the look from ever ending, and its silence from being told.
      if (this.#tip.sequence === sequence) throw new FeedError('FEED_MALFORMED')
      if (this.#deps.clock.monotonicMs() > this.#untilMs) await this.#breakOff()
    }
    if (this.#tip.sequence < (this.#before?.seen.sequence ?? 0)) this.#endsBefore()
  }

  /** The next look goes on from here, where this one has seen more: a head may be missed for it, and no other entry. */
  async #breakOff(): Promise<never> {
    const witnessed = this.#witnessed
    if (this.#heads === 0 && witnessed?.seen.sequence === this.#tip.sequence) {
      const further = { ...witnessed, from: this.#tip }
      await this.#deps.store.save(further)
      this.#witnessed = further
    }
    throw new FeedError('FEED_TOO_SLOW')
  }

  #endsBefore(): void {
    this.#alarm ??= {
      alarm: 'feed.contradicts',
      how: 'rolled-back',
      sequence: this.#before?.seen.sequence ?? 0,
    }
  }

  /** False for a row that does not continue what was seen. */
  #takes(row: Row): boolean {
    if (this.#alarm !== undefined) return true
    if (row.isCut === true) return this.#beginsAt(row)
    if (chainFault(this.#tip, row) !== undefined) return false
    const seen = this.#before?.seen
    if (seen?.sequence === row.sequence && !isSame(seen, row)) return false
    this.#ledger ??= ledgerIdFrom(row)
    const { ledger = this.#ledger } = this.#deps
    if (ledger !== this.#ledger) {
      this.#alarm = { alarm: 'feed.contradicts', how: 'other-ledger', sequence: row.sequence }
      return true
    }
    this.#tip = { sequence: row.sequence, hash: row.hash }
    this.#recent.add(row)
    if (kindOf(row.canonical) === 'head.signed') this.#judge(row)
    return true
  }

  /** Where a ledger begins that was pruned: at a head, which stands for all that is not there. */
  #beginsAt(row: Row): boolean {
    if (isSame(this.#tip, row)) return true
    const head = this.#headOfCut(row)
    if (head === undefined || !this.#isHeldBehind(row, head)) return false
    this.#ledger = head.statement.ledger
    this.#tip = { sequence: row.sequence, hash: row.hash }
    this.#recent.add(row)
    return true
  }

  /** Whether a cut can hide nothing: because nothing was seen, or because what was seen last is still to come. */
  #isHeldBehind(row: Row, { statement }: UnverifiedHead): boolean {
    if (this.#before === undefined) return this.#tip.sequence === 0
    const { ledger, seen } = this.#before
    return ledger === statement.ledger && (row.sequence < seen.sequence || isSame(seen, row))
  }

  /** Undefined unless the heads' key has signed for what the cut says. */
  #headOfCut(row: Row): UnverifiedHead | undefined {
    const cut = row.isCut === true ? parseCut(row.canonical) : undefined
    const head = cut && parseHead(cut.head)
    if (cut === undefined || head === undefined || !this.#isOurs(head)) return undefined
    const { ledger, sequence, hash } = head.statement
    const isFor = cut.ledger === ledger && cut.sequence === sequence && cut.hash === hash
    return isFor ? head : undefined
  }

  #judge({ canonical, sequence: at }: Row): void {
    const compact = headIn(canonical)
    const head = compact === undefined ? undefined : parseHead(compact)
    if (compact === undefined || head === undefined || !this.#isOurs(head)) {
      this.#alarm = { alarm: 'head.false', sequence: at, offered: compact ?? '' }
      return
    }
    const { ledger, sequence, hash } = head.statement
    const known = this.#recent.at(sequence)
    const isKnown = known !== undefined && Buffer.from(known).toString('base64url') === hash
    // For an entry before all that is known, which another head was witnessed for.
    const isEarlier =
      known === undefined && sequence < this.#tip.sequence && this.#before !== undefined
    if (ledger === this.#ledger && (isKnown || isEarlier)) {
      if (!isKnown || sequence <= (this.#witnessedUpTo() ?? 0)) return
      this.#head = head
      this.#compact = compact
      return
    }
    this.#alarm = this.#headContradicts(at, compact)
  }

  #witnessedUpTo(): number | undefined {
    const { head } = this.#witnessed ?? {}
    return head === undefined ? undefined : parseHead(head)?.statement.sequence
  }

  #isOurs(head: UnverifiedHead): boolean {
    return this.#deps.headKeys.some((key) => isSignedBy(head, key))
  }

  #headContradicts(sequence: number, offered: string): WitnessAlarm {
    const { head } = this.#before ?? {}
    return {
      alarm: 'head.contradicts',
      sequence,
      ...(head === undefined ? {} : { witnessed: head }),
      offered,
    }
  }

  /** What does not fit is named by who has signed it: that is a thief of the service's identity, or the service. */
  async #contradictedAt(rows: readonly Row[]): Promise<void> {
    const [bad] = rows
    const sequence = bad?.sequence ?? this.#tip.sequence + 1
    if (bad !== undefined && this.#isBeyondSeen(bad)) {
      this.#alarm = { alarm: 'feed.contradicts', how: 'pruned', sequence }
      return
    }
    const isBehindSeen = sequence > (this.#before?.seen.sequence ?? 0)
    const isCutOff = Number.isNaN(sequence)
    this.#alarm = {
      alarm: 'feed.contradicts',
      how: isBehindSeen || isCutOff ? 'broken' : 'rewritten',
      sequence: isCutOff ? this.#tip.sequence + 1 : sequence,
    }
    // Whoever tells no more than that keeps nothing from being told.
    const signed = this.#before === undefined ? undefined : await this.#signedBehind(rows)
    if (signed !== undefined) this.#alarm = this.#headContradicts(sequence, signed)
  }

  /** Whether the ledger was pruned further than it was seen: as it may be where somebody else holds its heads. */
  #isBeyondSeen(row: Row): boolean {
    const head = this.#headOfCut(row)
    const seen = Math.max(this.#tip.sequence, this.#before?.seen.sequence ?? 0)
    return head !== undefined && head.statement.ledger === this.#ledger && row.sequence > seen
  }

  /** The first head of the heads' key that stands for one of these rows, or of those that come behind them. */
  async #signedBehind(rows: readonly Row[]): Promise<string | undefined> {
    const hashes = new Map<number, string>()
    let behind = this.#tip.sequence
    for (let page = rows; page.length > 0 && hashes.size < rowsBehindMax;) {
      for (const { sequence, hash, canonical } of page) {
        hashes.set(sequence, Buffer.from(hash).toString('base64url'))
        if (kindOf(canonical) !== 'head.signed') continue
        const compact = headIn(canonical)
        const head = compact === undefined ? undefined : parseHead(compact)
        if (compact === undefined || head === undefined || !this.#isOurs(head)) continue
        if (hashes.get(head.statement.sequence) === head.statement.hash) return compact
      }
      const last = page.at(-1)?.sequence ?? Number.NaN
      if (!Number.isSafeInteger(last) || last <= behind) return undefined
      behind = last
      page = await this.#deps.feed.rowsBehind(behind)
    }
    return undefined
  }

  /** Durable before anything behind it is asked for. */
  async #remember(): Promise<void> {
    // What was seen before comes first: a head of another history is none to be witnessed.
    if (this.#tip.sequence < (this.#before?.seen.sequence ?? 0)) return
    const { store, feed, key, clock } = this.#deps
    const isNew = this.#tip.sequence > (this.#witnessed?.seen.sequence ?? 0)
    if (this.#ledger === undefined || (!isNew && this.#head === undefined)) return
    const nowMs = clock.nowMs()
    const head = this.#head
    if (this.#compact !== undefined) await this.#witness(this.#compact, nowMs)
    const seen = isNew ? this.#tip : (this.#witnessed?.seen ?? this.#tip)
    const compact = this.#compact ?? this.#witnessed?.head
    const witnessed: Witnessed = {
      feed: feed.name,
      keyId: key.keyId,
      ledger: this.#ledger,
      from: head === undefined ? (this.#witnessed?.from ?? genesis) : linkOf(head),
      seen,
      ...(compact === undefined ? {} : { head: compact }),
      grewAtMs: head === undefined ? (this.#witnessed?.grewAtMs ?? nowMs) : nowMs,
    }
    this.#head = undefined
    this.#compact = undefined
    await store.save(witnessed)
    this.#witnessed = witnessed
  }

  async #witness(compact: string, atMs: number): Promise<void> {
    const { key, anchors } = this.#deps
    const input = witnessSigningInput({ headSha256: sha256Base64url(compact), atMs }, key)
    const witnessed = compactFrom(input, await key.sign(input))
    for (const anchor of anchors) await anchor.keep(compact, witnessed)
    this.#heads += 1
  }
}

const isSame = (one: Link, other: Link) =>
  one.sequence === other.sequence && Buffer.compare(one.hash, other.hash) === 0

const linkOf = ({ statement: { sequence, hash } }: UnverifiedHead): Link => ({
  sequence,
  hash: Buffer.from(hash, 'base64url'),
})

const headIn = (canonical: Uint8Array): string | undefined =>
  compactHeadIn(parseJson(Buffer.from(canonical).toString()))
