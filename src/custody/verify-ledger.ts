import type { KeyObject, X509Certificate } from 'node:crypto'
import { chainFault, genesis, type Link, type Row } from '../ledger/chain.ts'
import { kindOf } from '../ledger/entry-kind.ts'
import { type AnchorLine, readAnchorFile } from './anchored-heads.ts'
import { type Damage, damageAt, hashesBackMax, rowsBehindMax } from './damage.ts'
import { type HeadStatement, parseHead, type UnverifiedHead } from './head.ts'
import { createHeadKeys, type HeadKeys, type KeyOrigin } from './head-keys.ts'
import { createProofChecks, type ProofChecks, type ProofCounts } from './proof-checks.ts'
import { createRecentHashes, type RecentHashes } from './recent-hashes.ts'

/** What a ledger is held to, besides itself. */
export interface Evidence {
  /** Public keys that heads must be signed with; empty: those that the ledger itself has on record. */
  readonly headKeys: readonly KeyObject[]
  /** Files of anchors, read in the order in which they were written. */
  readonly anchors: readonly string[]
  /** Certificates that proofs must verify with; empty: those that the ledger itself has on record. */
  readonly certificates: readonly X509Certificate[]
}

/** What was found of a ledger. */
export interface LedgerVerdict {
  /** `undecided`: nothing is damaged, and something could not be checked: see `undecided`. */
  readonly verdict: 'sound' | 'damaged' | 'undecided'
  /** Absent where nothing is wrong. Nothing behind it was looked at. */
  readonly damage?: Damage
  /** In words, why it could not be decided. */
  readonly undecided: readonly string[]
  /** Tells ledgers apart: base64url of the hash of the first entry. Absent of an empty one. */
  readonly ledger?: string
  /** The last entry that continues all before it: of a sound ledger, its last. */
  readonly intactUpTo: Link
  readonly heads: HeadsFound
  readonly anchors: readonly AnchorFound[]
  readonly proofs: ProofCounts
  /** Entries behind the last head that verifies, wherever that is kept. */
  readonly unsealed: number
  /** Up to which entry an anchor shows that nothing was written anew; undefined: none does. */
  readonly provenUpTo?: number
}

export interface HeadsFound {
  readonly verified: number
  /** Signed with a key that nobody knows, or that is not among those that were given. */
  readonly unknownKey: number
  readonly keys: KeyOrigin | 'none'
  readonly newest?: Pick<HeadStatement, 'sequence' | 'atMs'>
}

export interface AnchorFound {
  readonly file: string
  /** Heads that verify and that this ledger fits. */
  readonly verified: number
  readonly unknownKey: number
  /** Lines that hold no head. */
  readonly unread: number
  /** That came too late to be compared: they are older than a million entries before their neighbours. */
  readonly notCompared: number
  readonly newest?: Pick<HeadStatement, 'sequence' | 'atMs'>
}

/** Clocks of replicas are not further apart: what is later than that was written later. */
const clockDifferenceMs = 5000

/** Of each anchor, for naming what was done behind the first entry that does not fit. */
const headsAheadMax = 1000

/**
 * Follows a ledger to its end or to its first damage, in memory that does not grow with it, and holds it to
 * heads, anchors and certificates. Reaches nothing but the rows and the files of the anchors.
 *
 * @param onProgress Told how many entries were followed, page by page.
 * @throws Error of the system when an anchor cannot be read; what the pages throw.
 */
export async function verifyLedger(
  pages: AsyncIterable<Iterable<Row>> | Iterable<Iterable<Row>>,
  evidence: Evidence,
  onProgress: (entries: number) => void = () => undefined,
): Promise<LedgerVerdict> {
  const check = new LedgerCheck(evidence)
  const behind: Row[] = []
  for await (const page of pages) {
    for (const row of page) {
      if (behind.length > 0) behind.push(row)
      else if (!check.take(row)) behind.push(row)
      if (check.isDone || behind.length >= rowsBehindMax) break
    }
    onProgress(check.entries)
    if (check.isDone || behind.length >= rowsBehindMax) break
  }
  if (behind.length > 0) check.brokenBefore(behind)
  return check.verdict()
}

class LedgerCheck {
  readonly #keys: HeadKeys
  readonly #proofs: ProofChecks
  readonly #anchors: readonly AnchorCursor[]
  readonly #recent: RecentHashes = createRecentHashes()
  readonly #evidence: Evidence
  #tip: Link = genesis
  #lastRow: Row | undefined
  #ledger: string | undefined
  #damage: Damage | undefined
  /**
   * An anchor's head does not fit. Entries that were put in there may explain it, which shows where the chain
   * breaks behind them; it is followed a little further.
   */
  #contradiction: { readonly damage: Damage; readonly at: number } | undefined
  #heads = { verified: 0, unknownKey: 0 }
  #keyOrigin: KeyOrigin | 'none' = 'none'
  #newest: HeadStatement | undefined

  constructor(evidence: Evidence) {
    this.#evidence = evidence
    this.#keys = createHeadKeys(evidence.headKeys)
    this.#proofs = createProofChecks(evidence.certificates, false)
    this.#anchors = evidence.anchors.map((file) => new AnchorCursor(file))
  }

  get entries(): number {
    return this.#tip.sequence
  }

  /** Nothing more is to be found. */
  get isDone(): boolean {
    if (this.#damage !== undefined) return true
    const { at } = this.#contradiction ?? {}
    return at !== undefined && this.#tip.sequence - at > hashesBackMax
  }

  /** False when the row does not continue the chain. */
  take(row: Row): boolean {
    if (chainFault(this.#tip, row) !== undefined) return false
    this.#tip = { sequence: row.sequence, hash: row.hash }
    this.#lastRow = row
    this.#recent.add(row)
    this.#ledger ??= Buffer.from(row.hash).toString('base64url')
    if (this.#contradiction !== undefined) return true
    this.#takeEntry(row)
    for (const anchor of this.#anchors) this.#compareWith(anchor, row)
    return true
  }

  brokenBefore(rows: readonly Row[]): void {
    const { sequence } = this.#tip
    const damage = damageAt({
      tip: this.#tip,
      hashBefore: (places) =>
        sequence === places ? genesis.hash : this.#recent.at(sequence - places),
      rows,
      heads: this.#headsAhead(rows),
    })
    const isExplained = this.#contradiction === undefined || damage.kind === 'inserted'
    this.#damage ??= isExplained ? damage : this.#contradiction?.damage
  }

  verdict(): LedgerVerdict {
    this.#damage ??= this.#contradiction?.damage
    for (const anchor of this.#anchors) this.#endBefore(anchor)
    const anchors = this.#anchors.map((anchor) => anchor.found)
    const proofs = this.#proofs.counts()
    const undecided = this.#undecided(anchors, proofs)
    const proven = anchors.flatMap(({ newest }) => newest?.sequence ?? [])
    const provenUpTo = proven.length === 0 ? undefined : Math.max(...proven)
    const sealedUpTo = Math.max(this.#newest?.sequence ?? 0, provenUpTo ?? 0)
    const decided = undecided.length > 0 ? 'undecided' : 'sound'
    return {
      verdict: this.#damage === undefined ? decided : 'damaged',
      ...(this.#damage === undefined ? {} : { damage: this.#damage }),
      undecided,
      ...(this.#ledger === undefined ? {} : { ledger: this.#ledger }),
      intactUpTo: this.#tip,
      heads: { ...this.#heads, keys: this.#keyOrigin, ...newestOf(this.#newest) },
      anchors,
      proofs,
      unsealed: Math.max(0, this.#tip.sequence - sealedUpTo),
      ...(provenUpTo === undefined ? {} : { provenUpTo }),
    }
  }

  #undecided(anchors: readonly AnchorFound[], proofs: ProofCounts): readonly string[] {
    const { certificates, headKeys } = this.#evidence
    const ofKeys = this.#heads.unknownKey + sum(anchors.map(({ unknownKey }) => unknownKey))
    const notCompared = sum(anchors.map((anchor) => anchor.notCompared))
    const keysAre = headKeys.length > 0 ? 'that was not given' : 'that is not on record here'
    const certificatesAre = certificates.length > 0 ? 'was not given' : 'is not on record'
    return [
      ...(ofKeys === 0 ? [] : [`${ofKeys} heads are signed with a key ${keysAre}`]),
      ...(notCompared === 0
        ? []
        : [`${notCompared} heads of anchors came too late to be compared`]),
      ...(proofs.withoutCertificate === 0
        ? []
        : [`${proofs.withoutCertificate} proofs are by a certificate that ${certificatesAre}`]),
    ]
  }

  #takeEntry({ sequence, canonical }: Row): void {
    const kind = kindOf(canonical)
    if (kind === undefined || !isLookedInto(kind)) return
    const entry = jsonOf(canonical)
    const fault = this.#proofs.take(kind, entry)
    if (fault !== undefined) {
      const isHead = kind === 'head.signed'
      this.#found({ kind: isHead ? 'false-head' : 'false-proof', sequence, detail: fault })
    }
    if (kind === 'head.key-loaded' && !this.#keys.record(entry)) {
      this.#found({ kind: 'false-head', sequence, detail: 'its key is none' })
    }
    if (kind === 'head.signed') this.#takeHead(sequence, entry)
  }

  #takeHead(at: number, entry: unknown): void {
    const { head: compact, sequence: said } = entry as { head?: unknown; sequence?: unknown }
    const head = typeof compact === 'string' ? parseHead(compact) : undefined
    if (head === undefined || head.statement.sequence !== said) {
      this.#found({ kind: 'false-head', sequence: at, detail: 'it holds no head of that entry' })
      return
    }
    const checked = this.#keys.check(head)
    if (!checked.ok) {
      if (checked.why === 'no-key') this.#heads.unknownKey += 1
      else
        this.#found({ kind: 'false-head', sequence: at, detail: 'its signature does not verify' })
      return
    }
    this.#keyOrigin = checked.origin
    this.#judgeOwn(head.statement, at)
  }

  /** A head in the ledger stands for entries before it. */
  #judgeOwn(statement: HeadStatement, at: number): void {
    const after = this.#newest?.sequence ?? 0
    const because = { head: { ...nameOf(statement), heldBy: 'ledger' } }
    if (statement.ledger !== this.#ledger) {
      this.#found({ kind: 'forked', sequence: 1, upTo: at, ...because })
    } else if (statement.sequence >= at) {
      const count = statement.sequence - at + 1
      this.#found({ kind: 'removed', sequence: after + 1, upTo: at, count, ...because })
    } else if (!this.#isHashAt(statement)) {
      this.#found({ kind: 'forked', sequence: after + 1, upTo: statement.sequence, ...because })
    } else {
      this.#heads.verified += 1
      if (statement.sequence > after) this.#newest = statement
    }
  }

  #isHashAt({ sequence, hash }: HeadStatement): boolean {
    const known = this.#recent.at(sequence)
    return known !== undefined && Buffer.from(known).toString('base64url') === hash
  }

  /** Heads that stand for this entry, and those that come late. */
  #compareWith(anchor: AnchorCursor, row: Row): void {
    for (
      let head = anchor.next;
      head !== undefined && head.statement.sequence <= row.sequence;
      head = anchor.next
    ) {
      anchor.advance()
      this.#judgeAnchored(anchor, head, row)
    }
  }

  #judgeAnchored(anchor: AnchorCursor, head: UnverifiedHead, row: Row): void {
    if (!this.#isOfKnownKey(anchor, head)) return
    const { statement } = head
    if (statement.ledger !== this.#ledger) {
      this.#contradicted(anchor, statement, row)
    } else if (this.#recent.at(statement.sequence) === undefined) {
      anchor.counts.notCompared += 1
    } else if (this.#isHashAt(statement)) {
      anchor.agreed(statement)
    } else {
      this.#contradicted(anchor, statement, row)
    }
  }

  #isOfKnownKey(anchor: AnchorCursor, head: UnverifiedHead): boolean {
    const checked = this.#keys.check(head)
    if (!checked.ok) anchor.counts.unknownKey += 1
    else this.#keyOrigin = checked.origin
    return checked.ok
  }

  #contradicted(anchor: AnchorCursor, statement: HeadStatement, row: Row): void {
    const isOther = statement.ledger !== this.#ledger
    const damage: Damage = {
      kind: isLater(row.canonical, statement) ? 'rolled-back' : 'forked',
      sequence: isOther ? 1 : anchor.agreedUpTo + 1,
      ...(isOther ? {} : { upTo: statement.sequence }),
      head: { ...nameOf(statement), heldBy: anchor.file },
    }
    this.#contradiction ??= { damage, at: row.sequence }
  }

  /** What is left in an anchor stands for entries that are not there. */
  #endBefore(anchor: AnchorCursor): void {
    for (let head = anchor.next; head !== undefined; head = anchor.next) {
      anchor.advance()
      if (this.#damage !== undefined || !this.#isOfKnownKey(anchor, head)) continue
      const { statement } = head
      const isLaterState = this.#lastRow && isLater(this.#lastRow.canonical, statement)
      this.#found({
        kind: isLaterState === true ? 'rolled-back' : 'cut-off',
        sequence: isLaterState === true ? anchor.agreedUpTo + 1 : this.#tip.sequence + 1,
        upTo: statement.sequence,
        head: { ...nameOf(statement), heldBy: anchor.file },
      })
    }
  }

  *#headsAhead(rows: readonly Row[]): Generator<HeadStatement, void, undefined> {
    for (const { canonical } of rows) {
      if (kindOf(canonical) !== 'head.signed') continue
      const entry = jsonOf(canonical) as { head?: unknown } | undefined
      const head = typeof entry?.head === 'string' ? parseHead(entry.head) : undefined
      if (head !== undefined && this.#keys.check(head).ok) yield head.statement
    }
    for (const anchor of this.#anchors) {
      for (let taken = 0; taken < headsAheadMax; taken += 1) {
        const head = anchor.next
        if (head === undefined) break
        anchor.advance()
        if (this.#keys.check(head).ok) yield head.statement
      }
    }
  }

  #found(damage: Damage): void {
    this.#damage ??= damage
  }
}

/** Where an anchor's file is read, and what was found in it so far. */
class AnchorCursor {
  readonly file: string
  readonly counts = { verified: 0, unknownKey: 0, unread: 0, notCompared: 0 }
  readonly #lines: Generator<AnchorLine, void, undefined>
  #next: UnverifiedHead | undefined
  #newest: HeadStatement | undefined

  constructor(file: string) {
    this.file = file
    this.#lines = readAnchorFile(file)
    this.advance()
  }

  /** Not looked at yet. */
  get next(): UnverifiedHead | undefined {
    return this.#next
  }

  get agreedUpTo(): number {
    return this.#newest?.sequence ?? 0
  }

  get found(): AnchorFound {
    return { file: this.file, ...this.counts, ...newestOf(this.#newest) }
  }

  advance(): void {
    this.#next = undefined
    for (let line = this.#lines.next(); line.done !== true; line = this.#lines.next()) {
      if (line.value.kind === 'head') {
        this.#next = line.value.head
        return
      }
      this.counts.unread += 1
    }
  }

  agreed(statement: HeadStatement): void {
    this.counts.verified += 1
    if (statement.sequence > this.agreedUpTo) this.#newest = statement
  }
}

const isLookedInto = (kind: string) =>
  kind.startsWith('signature.') || kind.startsWith('head.') || kind === 'certificate.loaded'

/** Whether an entry was written when a head was long there that stands for more. */
function isLater(canonical: Uint8Array, { atMs }: HeadStatement): boolean {
  const entry = jsonOf(canonical) as { atMs?: unknown } | undefined
  return typeof entry?.atMs === 'number' && entry.atMs > atMs + clockDifferenceMs
}

const nameOf = ({ sequence, atMs }: HeadStatement) => ({ sequence, atMs })

const newestOf = (newest: HeadStatement | undefined) =>
  newest === undefined ? {} : { newest: nameOf(newest) }

const sum = (numbers: readonly number[]) => numbers.reduce((total, one) => total + one, 0)

function jsonOf(canonical: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(canonical).toString())
  } catch {
    return undefined
  }
}
