import { isObject } from '../base/json-object.ts'
import { parseJson } from '../base/parse-json.ts'
import { sha256Base64url } from '../base/sha256.ts'
import { chainFault, genesis, isCutAt, type Link, type Row } from '../ledger/chain.ts'
import { type Cut, parseCut } from '../ledger/cut.ts'
import { kindOf } from '../ledger/entry-kind.ts'
import { ledgerIdFrom } from '../ledger/ledger-id.ts'
import { AnchorCursor, nameOf, newestIn, newestOf } from './anchor-cursor.ts'
import { isWitnessedBy, type KeptHead } from './anchored-heads.ts'
import { type Damage, damageAt, rowsBehindMax } from './damage.ts'
import { compactHeadIn, type HeadStatement, parseHead, type UnverifiedHead } from './head.ts'
import { createHeadKeys, type HeadKeys, type KeyOrigin } from './head-keys.ts'
import type { Evidence, LedgerVerdict, PrunedFound } from './ledger-verdict.ts'
import { leftUndecided } from './left-undecided.ts'
import { createProofChecks, type ProofChecks } from './proof-checks.ts'
import { createRecentHashes, type RecentHashes } from './recent-hashes.ts'

/** Clocks of replicas are not further apart: what is later than that was written later. */
const clockDifferenceMs = 5000

/** Of each anchor, for naming what was done behind the first entry that does not fit. */
const headsAheadMax = 1000

/**
 * Follows a ledger to its end or to its first damage, in memory that does not grow with it, and holds it to
 * heads, anchors and certificates. Reaches nothing but the rows and the files of the anchors.
 *
 * @throws Error of the system when an anchor cannot be read; what the pages throw.
 */
export async function verifyLedger(
  pages: AsyncIterable<Iterable<Row>> | Iterable<Iterable<Row>>,
  evidence: Evidence,
): Promise<LedgerVerdict> {
  const check = new LedgerCheck(evidence)
  const behind: Row[] = []
  for await (const page of pages) {
    for (const row of page) {
      if (behind.length > 0) behind.push(row)
      else if (!check.take(row)) behind.push(row)
      if (check.isDone || behind.length >= rowsBehindMax) break
    }
    if (check.isDone || behind.length >= rowsBehindMax) break
  }
  if (behind.length > 0) check.brokenBefore(behind)
  return check.verdict()
}

class LedgerCheck {
  readonly #keys: HeadKeys
  #proofs: ProofChecks
  readonly #anchors: readonly AnchorCursor[]
  readonly #recent: RecentHashes = createRecentHashes()
  readonly #evidence: Evidence
  #tip: Link = genesis
  #lastRow: Row | undefined
  #ledger: string | undefined
  /** The last one that was met. */
  #cut: { readonly cut: Cut; readonly sha256: string } | undefined
  /** 0: it begins with its first entry. */
  #beginsBehind = 0
  /** By who is said to hold it. */
  #isCutHeld = false
  /** Of the last entry that tells of a cut. */
  #cutOnRecord: unknown
  #damage: Damage | undefined
  /**
   * An anchor's head does not fit. Entries that were put in there may explain it, which shows where the chain
   * breaks behind them; it is followed a little further.
   */
  #contradiction: { damage: Damage; readonly at: number } | undefined
  #heads = { verified: 0, unknownKey: 0 }
  #keyOrigin: KeyOrigin | 'none' = 'none'
  #newest: HeadStatement | undefined

  constructor(evidence: Evidence) {
    this.#evidence = evidence
    this.#keys = createHeadKeys(evidence.headKeys)
    this.#proofs = createProofChecks(evidence.certificates, false)
    this.#anchors = [
      ...(evidence.witnesses ?? []).map(
        ({ file, keys }) =>
          new AnchorCursor({ kind: 'witness', name: file, file, witnessKeys: keys }),
      ),
      ...evidence.anchors.map((file) => new AnchorCursor({ kind: 'anchor', name: file, file })),
      ...(evidence.workspaces ?? []).map(
        ({ name, file }) => new AnchorCursor({ kind: 'workspace', name, file }),
      ),
    ]
  }

  /** Nothing more is to be found. */
  get isDone(): boolean {
    if (this.#damage !== undefined) return true
    const { at, damage } = this.#contradiction ?? {}
    if (at === undefined) return false
    // The next head, which tells who has signed what is there instead, comes within so many entries.
    return damage?.kind === 'signed-anew' || this.#tip.sequence - at > rowsBehindMax
  }

  /** False when the row does not continue the chain. */
  take(row: Row): boolean {
    if (row.isCut === true) return this.#takeCut(row)
    if (chainFault(this.#tip, row) !== undefined) return false
    this.#tip = { sequence: row.sequence, hash: row.hash }
    this.#lastRow = row
    this.#recent.add(row)
    this.#ledger ??= ledgerIdFrom(row)
    if (this.#contradiction !== undefined) {
      this.#takeBehindContradiction(row, this.#contradiction)
      return true
    }
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
    if (this.#cut !== undefined && this.#cutOnRecord !== this.#cut.sha256) {
      this.#falseCut(this.#cut.cut.sequence, 'no entry tells of it')
    }
    this.#holdToMark()
    const anchors = this.#anchors.map((anchor) => anchor.found)
    const proofs = this.#proofs.counts()
    const unchecked = {
      headsOfUnknownKey: this.#heads.unknownKey,
      anchors,
      proofs,
      beginsBehind: this.#beginsBehind,
    }
    const undecided = leftUndecided(unchecked, this.#evidence)
    const provenUpTo = newestIn(anchors)
    const witnessedUpTo = newestIn(anchors.filter(({ kind }) => kind === 'witness'))
    const sealedUpTo = Math.max(this.#newest?.sequence ?? 0, provenUpTo ?? 0)
    const decided = undecided.length > 0 ? 'undecided' : 'sound'
    return {
      verdict: this.#damage === undefined ? decided : 'damaged',
      ...(this.#damage === undefined ? {} : { damage: this.#damage }),
      undecided,
      ...(this.#ledger === undefined ? {} : { ledger: this.#ledger }),
      ...(this.#beginsBehind === 0 ? {} : { begins: { behind: this.#beginsBehind } }),
      ...(this.#cut === undefined ? {} : { pruned: prunedFrom(this.#cut.cut, this.#isCutHeld) }),
      intactUpTo: this.#tip,
      heads: { ...this.#heads, keys: this.#keyOrigin, ...newestOf(this.#newest) },
      anchors,
      proofs,
      unsealed: Math.max(0, this.#tip.sequence - sealedUpTo),
      ...(provenUpTo === undefined ? {} : { provenUpTo }),
      ...(witnessedUpTo === undefined ? {} : { witnessedUpTo }),
    }
  }

  /** Where what is left begins, or where it goes on behind an export of what was pruned. */
  #takeCut(row: Row): boolean {
    const cut = parseCut(row.canonical)
    if (cut === undefined || !isCutAt(this.#tip, row)) {
      const why = cut === undefined ? 'it is none' : 'what is before it does not end there'
      this.#falseCut(cut?.sequence ?? this.#tip.sequence + 1, why)
      return true
    }
    this.#cut = { cut, sha256: sha256Base64url(row.canonical) }
    this.#isCutHeld = this.#anchors.some(
      ({ kind, agreedUpTo }) => kind === cut.heldBy && agreedUpTo === cut.sequence,
    )
    if (this.#tip.sequence === 0) this.#beginBehind(cut, row)
    return true
  }

  #beginBehind(cut: Cut, row: Row): void {
    this.#tip = { sequence: row.sequence, hash: row.hash }
    this.#recent.add(row)
    this.#ledger = cut.ledger
    this.#beginsBehind = cut.sequence
    this.#proofs = createProofChecks(this.#evidence.certificates, true)
    for (const key of cut.headKeys) this.#keys.record({ kind: 'head.key-loaded', ...key })
    for (const certificate of cut.certificates) {
      const fault = this.#proofs.take('certificate.loaded', certificate)
      if (fault !== undefined) this.#falseCut(cut.sequence, fault)
    }
    const head = parseHead(cut.head)
    const { ledger, sequence, hash } = head?.statement ?? {}
    if (
      head === undefined ||
      ledger !== cut.ledger ||
      sequence !== cut.sequence ||
      hash !== cut.hash
    ) {
      this.#falseCut(cut.sequence, 'it holds no head of that entry')
      return
    }
    const checked = this.#keys.check(head)
    if (checked.ok) {
      this.#heads.verified += 1
      this.#keyOrigin = checked.origin
      this.#newest = head.statement
    } else if (checked.why === 'no-key') this.#heads.unknownKey += 1
    else this.#falseCut(cut.sequence, "its head's signature does not verify")
  }

  #falseCut(sequence: number, detail: string): void {
    this.#found({ kind: 'false-cut', sequence, detail })
  }

  #takeEntry({ sequence, canonical }: Row): void {
    const kind = kindOf(canonical)
    if (kind === undefined || !isLookedInto(kind)) return
    const entry = jsonOf(canonical)
    if (kind === 'ledger.pruned') {
      this.#cutOnRecord = isObject(entry) ? entry['cutSha256'] : undefined
    }
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
    const head = headIn(entry)
    const said = isObject(entry) ? entry['sequence'] : undefined
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
      this.#judgeAnchored(anchor, head)
    }
  }

  /** One for an entry that was taken, or for one before what is here. */
  #judgeAnchored(anchor: AnchorCursor, head: KeptHead): void {
    if (!this.#isOfKnownKey(anchor, head)) return
    const { statement } = head
    if (statement.ledger !== this.#ledger) {
      this.#contradicted(anchor, statement)
    } else if (statement.sequence < this.#beginsBehind) {
      anchor.counts.beforeCut += 1
    } else if (this.#recent.at(statement.sequence) === undefined) {
      anchor.counts.notCompared += 1
    } else if (this.#isHashAt(statement)) {
      anchor.agreed(statement)
      const { cut } = this.#cut ?? {}
      if (cut?.sequence === statement.sequence && cut.heldBy === anchor.kind) this.#isCutHeld = true
    } else {
      this.#contradicted(anchor, statement)
    }
  }

  #isOfKnownKey(anchor: AnchorCursor, head: KeptHead): boolean {
    const { witnessKeys } = anchor.place
    if (witnessKeys !== undefined) {
      // It has seen to the head's own signature, and to what it fits, which is more.
      const isWitnessed = isWitnessedBy(witnessKeys, head)
      if (!isWitnessed) anchor.counts.unknownKey += 1
      return isWitnessed
    }
    const checked = this.#keys.check(head)
    if (!checked.ok) anchor.counts.unknownKey += 1
    else this.#keyOrigin = checked.origin
    return checked.ok
  }

  #contradicted(anchor: AnchorCursor, statement: HeadStatement): void {
    const isOther = statement.ledger !== this.#ledger
    const damage: Damage = {
      kind: this.#isWrittenAfter(statement) ? 'rolled-back' : 'forked',
      sequence: isOther ? 1 : anchor.agreedUpTo + 1,
      ...(isOther ? {} : { upTo: statement.sequence }),
      head: { ...nameOf(statement), heldBy: anchor.place.name },
    }
    this.#contradiction ??= { damage, at: this.#tip.sequence }
  }

  /** Whether the last entry is of a time when that head was long there. */
  #isWrittenAfter(statement: HeadStatement): boolean {
    return this.#lastRow !== undefined && isLater(this.#lastRow.canonical, statement)
  }

  /** Whoever could have heads signed has signed one for what is there instead: nobody else can. */
  #takeBehindContradiction({ canonical }: Row, contradiction: { damage: Damage }): void {
    const { damage } = contradiction
    const kind = kindOf(canonical)
    if (kind === 'head.key-loaded') this.#keys.record(jsonOf(canonical))
    if (kind !== 'head.signed' || damage.kind !== 'forked') return
    const head = headIn(jsonOf(canonical))
    if (head === undefined || !this.#keys.check(head).ok) return
    const { statement } = head
    if (statement.sequence < (damage.head?.sequence ?? 0) || !this.#isHashAt(statement)) return
    contradiction.damage = {
      ...damage,
      kind: 'signed-anew',
      detail: `the heads' own key has signed another one, for entry ${statement.sequence}`,
    }
  }

  /** What is left in an anchor stands for entries that are not there, or came behind such a head. */
  #endBefore(anchor: AnchorCursor): void {
    for (let head = anchor.next; head !== undefined; head = anchor.next) {
      anchor.advance()
      if (this.#damage !== undefined) continue
      if (head.statement.sequence > this.#tip.sequence) this.#judgeBeyond(anchor, head)
      else this.#judgeAnchored(anchor, head)
      this.#damage ??= this.#contradiction?.damage
    }
  }

  /** Nobody writes a file that was moved away, so it ends where it did then. */
  #holdToMark(): void {
    const { moved } = this.#evidence
    if (moved === undefined || moved === 'damaged') return
    const { sequence, hash } = moved.tip
    const end = this.#tip.sequence
    const there = this.#recent.at(sequence)
    if (sequence > end) {
      this.#found({ kind: 'false-mark', sequence, detail: `it ends with entry ${end}` })
    } else if (there !== undefined && Buffer.compare(there, hash) !== 0) {
      this.#found({ kind: 'false-mark', sequence, detail: 'it has another hash' })
    } else if (sequence < end) {
      this.#found({ kind: 'behind-move', sequence: sequence + 1, count: end - sequence })
    }
  }

  #judgeBeyond(anchor: AnchorCursor, head: KeptHead): void {
    if (!this.#isOfKnownKey(anchor, head)) return
    const { statement } = head
    const isLaterState = this.#isWrittenAfter(statement)
    this.#found({
      kind: isLaterState ? 'rolled-back' : 'cut-off',
      sequence: isLaterState ? anchor.agreedUpTo + 1 : this.#tip.sequence + 1,
      upTo: statement.sequence,
      head: { ...nameOf(statement), heldBy: anchor.place.name },
    })
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
        const isKnown =
          anchor.place.witnessKeys === undefined
            ? this.#keys.check(head).ok
            : isWitnessedBy(anchor.place.witnessKeys, head)
        if (isKnown) yield head.statement
      }
    }
  }

  #found(damage: Damage): void {
    this.#damage ??= damage
  }
}

const isLookedInto = (kind: string) =>
  kind.startsWith('signature.') ||
  kind.startsWith('head.') ||
  kind === 'certificate.loaded' ||
  kind === 'ledger.pruned'

const prunedFrom = (
  { from, sequence, atMs, by, heldBy, exportSha256 }: Cut,
  isHeld: boolean,
): PrunedFound => ({
  from,
  upTo: sequence,
  atMs,
  by,
  heldBy,
  isHeld,
  ...(exportSha256 === undefined ? {} : { exportSha256 }),
})

/** Whether an entry was written when a head was long there that stands for more. */
function isLater(canonical: Uint8Array, { atMs }: HeadStatement): boolean {
  const entry = jsonOf(canonical)
  const writtenMs = isObject(entry) ? entry['atMs'] : undefined
  return typeof writtenMs === 'number' && writtenMs > atMs + clockDifferenceMs
}

function headIn(entry: unknown): UnverifiedHead | undefined {
  const compact = compactHeadIn(entry)
  return compact === undefined ? undefined : parseHead(compact)
}

const jsonOf = (canonical: Uint8Array): unknown => parseJson(Buffer.from(canonical).toString())
