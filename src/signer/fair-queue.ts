/** What the queue must know of whoever waits in it. */
export interface Waiting {
  readonly application: string
  /** Whose turn it is within the application: waiters of one line are served in the order they came. */
  readonly line: string
  readonly units: number
}

/** Those of one line, oldest first. */
interface Line<W> {
  /** Units that every line of the application which kept waiting has had; the least is next. */
  mark: number
  units: number
  readonly waiters: Numbered<W>[]
}

/** The lines of one application. */
interface Share<W> {
  mark: number
  waiters: number
  /** The highest mark of its lines: whoever joins begins there, at the end of the round. */
  round: number
  readonly lines: Map<string, Line<W>>
}

interface Numbered<W> {
  /** By arrival. */
  readonly number: number
  readonly waiter: W
}

interface QueuePlace<W> extends Numbered<W> {
  readonly share: Share<W>
  readonly line: Line<W>
}

/**
 * Takes turns in units: first between applications, then between the lines of one. Applications that
 * wait get the same, however many lines each of them has; so do the lines of one, however many wait in
 * each. Nobody saves up: whoever comes when others wait already is served once when each of them has
 * been. Holds no time and refuses nobody.
 */
export class FairQueue<W extends Waiting> {
  readonly #shares = new Map<string, Share<W>>()
  #round = 0
  #arrivals = 0
  #size = 0
  #units = 0

  get size(): number {
    return this.#size
  }

  /** Of all who wait. */
  get units(): number {
    return this.#units
  }

  /** All who wait, in no order. */
  *[Symbol.iterator](): Generator<W> {
    for (const share of this.#shares.values()) {
      for (const { waiters } of share.lines.values()) {
        for (const { waiter } of waiters) yield waiter
      }
    }
  }

  sizeOfLine({ application, line }: Pick<Waiting, 'application' | 'line'>): number {
    return this.#shares.get(application)?.lines.get(line)?.waiters.length ?? 0
  }

  push(waiter: W): void {
    const share = this.#shares.get(waiter.application) ?? {
      mark: this.#round,
      waiters: 0,
      round: 0,
      lines: new Map<string, Line<W>>(),
    }
    const line = share.lines.get(waiter.line) ?? { mark: share.round, units: 0, waiters: [] }
    this.#shares.set(waiter.application, share)
    share.lines.set(waiter.line, line)
    line.waiters.push({ number: this.#arrivals, waiter })
    this.#arrivals += 1
    this.#count(share, line, waiter.units, 1)
  }

  /**
   * Whose turn it is, of those that may be served now; it goes on waiting.
   *
   * @param may The same for all of one line.
   */
  next(may: (waiter: W) => boolean): W | undefined {
    let best: QueuePlace<W> | undefined
    for (const share of this.#shares.values()) {
      const place = nextIn(share, may)
      if (place === undefined) continue
      if (best === undefined || precedes(place.share, place, best.share, best)) best = place
    }
    return best?.waiter
  }

  /** Has had its turn. */
  serve(waiter: W): void {
    const found = this.#find(waiter)
    if (found === undefined) return
    const { share, line } = found
    share.mark += waiter.units
    line.mark += waiter.units
    this.#round = Math.max(this.#round, share.mark)
    share.round = Math.max(share.round, line.mark)
    this.remove(waiter)
  }

  /** Waits no more, and has had nothing. */
  remove(waiter: W): void {
    const found = this.#find(waiter)
    if (found === undefined) return
    const { share, line, index } = found
    line.waiters.splice(index, 1)
    this.#count(share, line, -waiter.units, -1)
    // What a mark was is of no use later: the round has come at least as far.
    if (line.waiters.length === 0) share.lines.delete(waiter.line)
    if (share.lines.size === 0) this.#shares.delete(waiter.application)
  }

  /**
   * Who makes room when there are too many: the youngest of the longest line of the application that
   * has most waiting; the newcomer itself, who waits already, when nobody has more than it.
   */
  yielding(newcomer: W): W {
    const own = this.#find(newcomer)
    if (own === undefined) throw new TypeError('the newcomer waits already')
    const largest = greatest(this.#shares.values(), ({ waiters }) => waiters) ?? own.share
    const share = largest.waiters > own.share.waiters ? largest : own.share
    const longest = greatest(share.lines.values(), ({ waiters }) => waiters.length) ?? own.line
    const line = longest.waiters.length > own.line.waiters.length ? longest : own.line
    return (share === own.share ? line : longest).waiters.at(-1)?.waiter ?? newcomer
  }

  /** About the last who will be served: the youngest of those lines that have most waiting. */
  get last(): W | undefined {
    const youngestFirst = [...this.#shares.values()].reverse()
    const share = greatest(youngestFirst, ({ waiters }) => waiters)
    const lines = [...(share?.lines.values() ?? [])].reverse()
    return greatest(lines, ({ waiters }) => waiters.length)?.waiters.at(-1)?.waiter
  }

  /**
   * Units that are served until somebody who came now has been, itself included, if nobody came after
   * it: what waits before it in its own line, and of all others as much as their turns are.
   *
   * @param counts Whether a line counts, told by who is first in it.
   */
  unitsUntilServed(newcomer: Waiting, counts: (waiter: W) => boolean = () => true): number {
    const own = this.#shares.get(newcomer.application)
    const inOwnLine = own?.lines.get(newcomer.line)?.units ?? 0
    const others = own === undefined ? [] : unitsOfLines(own, counts, newcomer.line)
    const within = turnsOf(others, inOwnLine + newcomer.units)
    const shares = [...this.#shares]
      .filter(([application]) => application !== newcomer.application)
      .map(([, share]) => sum(unitsOfLines(share, counts)))
    return turnsOf(shares, within)
  }

  #find(waiter: W) {
    const share = this.#shares.get(waiter.application)
    const line = share?.lines.get(waiter.line)
    const index = line?.waiters.findIndex((one) => one.waiter === waiter) ?? -1
    return share === undefined || line === undefined || index === -1
      ? undefined
      : { share, line, index }
  }

  #count(share: Share<W>, line: Line<W>, units: number, waiters: 1 | -1): void {
    line.units += units
    share.waiters += waiters
    this.#size += waiters
    this.#units += units
  }
}

function nextIn<W>(share: Share<W>, may: (waiter: W) => boolean): QueuePlace<W> | undefined {
  let best: QueuePlace<W> | undefined
  for (const line of share.lines.values()) {
    const head = line.waiters[0]
    if (head === undefined || !may(head.waiter)) continue
    if (best === undefined || precedes(line, head, best.line, best)) best = { ...head, share, line }
  }
  return best
}

function unitsOfLines<W>(
  share: Share<W>,
  counts: (waiter: W) => boolean,
  except?: string,
): readonly number[] {
  return [...share.lines]
    .filter(([name, { waiters }]) => name !== except && waiters[0] && counts(waiters[0].waiter))
    .map(([, { units }]) => units)
}

/** What has been served when somebody has had so much, and each of the others as much or all it wanted. */
const turnsOf = (others: readonly number[], own: number) =>
  sum(others.map((units) => Math.min(units, own))) + own

const sum = (numbers: readonly number[]) => numbers.reduce((total, one) => total + one, 0)

interface Marked {
  readonly mark: number
}

interface Arrival {
  readonly number: number
}

/** The lesser mark, and of two that have had the same, whoever has waited longer. */
function precedes(one: Marked, oneHead: Arrival, other: Marked, otherHead: Arrival): boolean {
  return one.mark < other.mark || (one.mark === other.mark && oneHead.number < otherHead.number)
}

function greatest<T>(items: Iterable<T>, sizeOf: (item: T) => number): T | undefined {
  let best: T | undefined
  for (const item of items) if (best === undefined || sizeOf(item) > sizeOf(best)) best = item
  return best
}
