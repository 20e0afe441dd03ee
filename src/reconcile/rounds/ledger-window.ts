import { isObject } from '../../base/json-object.ts'
import { parseJson } from '../../base/parse-json.ts'
import { genesis } from '../../ledger/chain.ts'
import type { Link, Row } from '../../ledger/chain.ts'
import type { LedgerSource } from '../../ledger/ledger-source.ts'
import { numberIn, textIn } from '../json-members.ts'
import { EntryReader } from '../relevant-entry.ts'
import type { RoundState } from './round-state.ts'
import { LateEntries, type WrittenLate } from './written-late.ts'

/** A place where reading can begin, and when its entry was written. */
export interface Mark extends Link {
  readonly atMs: number
}

/** The entries of a ledger from a time on, and what has to be known of those before. */
export interface LedgerWindow {
  readonly behind: Link
  /** Entries of keys and certificates up to there. */
  readonly recalled: readonly Row[]
  /** What follows; the first reading that comes to the end is what `learned` tells of. */
  pages(): AsyncIterable<Iterable<Row>>
  learned(): LedgerLearned
}

export interface LedgerLearned {
  readonly entries: number
  /** The entry that the first one continues. */
  readonly behind: Link
  /** When the first of them was written: of what was before, nothing was read. `Infinity` where there is none. */
  readonly fromMs: number
  /** The newest entry that was read. */
  readonly tip: Link
  readonly marks: readonly Mark[]
  /** Of keys and certificates, from the beginning of the ledger. */
  readonly recalled: readonly Row[]
  readonly writtenLate: WrittenLate
  /** Undefined: the ledger holds what it held when it was read before. */
  readonly rewritten: string | undefined
}

/**
 * @param fromMs Milliseconds since the Unix epoch: everything that was written then or later is in it.
 * @param decidedUntilMs See {@link WrittenLate}.
 */
export function ledgerWindow(
  ledger: Pick<LedgerSource, 'pagesAfter'>,
  state: RoundState,
  { fromMs, decidedUntilMs }: { readonly fromMs: number; readonly decidedUntilMs: number },
  onEntries: (count: number) => void,
): LedgerWindow {
  const behind = startFor(state.marks.map(markFrom), fromMs)
  const recalled = state.recalled.map(rowFrom).filter(({ sequence }) => sequence <= behind.sequence)
  const tap = new Tap(behind, recalled, linkFrom(state.tip), decidedUntilMs, onEntries)
  let isFirst = true
  return {
    behind,
    recalled,
    pages: () => {
      const pages = ledger.pagesAfter(behind.sequence)
      if (!isFirst) return pages
      isFirst = false
      return tap.through(pages)
    },
    learned: () => {
      const { entries, tip, recalled: all } = tap
      const earlier = state.marks
        .map(markFrom)
        .filter(({ sequence }) => sequence <= behind.sequence)
      return {
        entries,
        behind,
        fromMs: tap.marks[0]?.atMs ?? Infinity,
        tip,
        marks: thinned([...earlier, ...tap.marks]),
        recalled: all,
        writtenLate: tap.late,
        rewritten: tap.rewritten(),
      }
    },
  }
}

/** Before the first entry where no mark is so old. */
function startFor(marks: readonly Mark[], fromMs: number): Link {
  const { sequence, hash } = marks.findLast(({ atMs }) => atMs < fromMs) ?? genesis
  return { sequence, hash }
}

/** An entry in so many is parsed for its time. */
const rowsPerMark = 100
/** Closer ones are not worth their room. */
const markEveryMs = 5 * 60_000
/** Some days of them; older ones stand wider apart. */
const marksMax = 2000

function thinned(marks: readonly Mark[]): readonly Mark[] {
  if (marks.length <= marksMax) return marks
  const half = marks.length / 2
  return marks.filter((_, index) => index >= half || index % 2 === 0)
}

/** Canonical JSON has these bytes only as the member `kind`: see `relevantKinds`. */
const recalledKinds = ['certificate.loaded', 'head.key-loaded'].map((kind) =>
  Buffer.from(`"kind":"${kind}"`),
)

/** Lets rows through, and remembers what the next round has to know of them. */
class Tap {
  entries = 0
  tip: Link
  readonly marks: Mark[] = []
  readonly late = new LateEntries()
  readonly #recalled = new Map<string, Row>()
  readonly #before: Link
  readonly #decidedUntilMs: number
  readonly #onEntries: (count: number) => void
  readonly #reader = new EntryReader()
  #continuity: 'not-reached' | 'same' | 'other' | 'pruned'

  constructor(
    behind: Link,
    recalled: readonly Row[],
    before: Link,
    decidedUntilMs: number,
    onEntries: (count: number) => void,
  ) {
    this.tip = behind
    this.#before = before
    this.#continuity = before.sequence <= behind.sequence ? 'same' : 'not-reached'
    this.#decidedUntilMs = decidedUntilMs
    this.#onEntries = onEntries
    for (const row of recalled) this.#recall(row)
  }

  get recalled(): readonly Row[] {
    return [...this.#recalled.values()]
  }

  rewritten(): string | undefined {
    const { sequence } = this.#before
    switch (this.#continuity) {
      case 'same':
        return undefined
      case 'other':
        return `entry ${sequence} is another one than when it was read before`
      case 'not-reached':
        return `the ledger ends before entry ${sequence}, which was read before`
      case 'pruned':
        return `entry ${sequence}, which was read before, was pruned with what came after it, so that nothing shows whether this is the same ledger`
    }
  }

  async *through(pages: AsyncIterable<Iterable<Row>>): AsyncGenerator<Iterable<Row>> {
    for await (const page of pages) yield this.#each(page)
  }

  *#each(rows: Iterable<Row>): Generator<Row> {
    for (const row of rows) {
      this.#take(row)
      yield row
    }
  }

  #take(row: Row): void {
    const { sequence, hash } = row
    this.tip = { sequence, hash }
    if (row.isCut === true) {
      if (sequence > this.#before.sequence && this.#before.sequence > 0) this.#continuity = 'pruned'
      return
    }
    this.entries += 1
    if (sequence === this.#before.sequence) {
      this.#continuity = Buffer.compare(hash, this.#before.hash) === 0 ? 'same' : 'other'
    }
    if (sequence > this.#before.sequence) this.#takeLate(row)
    if (this.entries % rowsPerMark === 1) this.#mark(row)
    const bytes = Buffer.from(
      row.canonical.buffer,
      row.canonical.byteOffset,
      row.canonical.byteLength,
    )
    if (recalledKinds.some((kind) => bytes.includes(kind))) this.#recall(row)
  }

  /** The service writes each as it happens; whoever dates an entry back wants nobody to look there. */
  #takeLate({ canonical }: Row): void {
    if (this.#decidedUntilMs === -Infinity) return
    const entry = this.#reader.read(canonical)
    if (entry === undefined || entry === 'other' || entry.atMs >= this.#decidedUntilMs) return
    if (entry.kind === 'begun' || entry.kind === 'ended') this.late.add(entry.signature, entry.atMs)
  }

  #mark({ sequence, hash, canonical }: Row): void {
    this.#onEntries(this.entries)
    const entry = parseJson(Buffer.from(canonical).toString())
    const atMs = isObject(entry) ? numberIn(entry, 'atMs') : undefined
    const last = this.marks.at(-1)
    if (atMs === undefined || (last !== undefined && atMs < last.atMs + markEveryMs)) return
    this.marks.push({ sequence, hash, atMs })
  }

  /** One for each key: a service writes them at each start. */
  #recall(row: Row): void {
    const entry = parseJson(Buffer.from(row.canonical).toString())
    const keyId = isObject(entry) ? textIn(entry, 'keyId') : undefined
    if (keyId !== undefined && !this.#recalled.has(keyId)) this.#recalled.set(keyId, row)
  }
}

const linkFrom = ({ sequence, hash }: RoundState['tip']): Link => ({
  sequence,
  hash: Buffer.from(hash, 'hex'),
})

const markFrom = ({ atMs, ...link }: RoundState['marks'][number]): Mark => ({
  ...linkFrom(link),
  atMs,
})

const rowFrom = ({ canonical, ...link }: RoundState['recalled'][number]): Row => ({
  ...linkFrom(link),
  canonical: Buffer.from(canonical),
})
