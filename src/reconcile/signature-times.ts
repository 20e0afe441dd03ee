import type { SeriesView, TimelineView } from './report-view.ts'

const minuteMs = 60_000
const dayMs = 24 * 60 * minuteMs

/** Each is a multiple of the one before it, so that counts can be added up. */
const pieceWidthsMs = [
  ...[1, 5, 15, 60, 180, 360, 720].map((minutes) => minutes * minuteMs),
  ...[1, 7, 28, 364].map((days) => days * dayMs),
] as const

/** What a picture can show on a narrow screen. */
const piecesMax = 96

/** Whoever comes later than so many is counted among the others. */
const namesMax = 1000

/** What a picture shows by name. */
const seriesShownMax = 8

/** Numbers of signatures by piece. */
type Counts = Map<number, number>

/**
 * Counts signatures by caller and by application in equal pieces of time, which become wider as the time
 * becomes longer: a few hundred kilobytes, however many there are.
 */
export class SignatureTimes {
  readonly #callers = new Map<string, Counts>()
  readonly #applications = new Map<string, Counts>()
  #width = 0
  #first = Infinity
  #last = -Infinity

  /** @param atMs In the years that `Date` knows. */
  add(atMs: number, caller: string, application: string): void {
    this.#include(atMs)
    const piece = this.#pieceOf(atMs)
    count(this.#callers, caller, piece)
    count(this.#applications, application, piece)
  }

  /**
   * @param alsoMs Times that the pieces have to reach, besides those of the signatures.
   * @returns Undefined where there is no time at all.
   */
  timeline(alsoMs: Iterable<number>): TimelineView | undefined {
    for (const atMs of alsoMs) this.#include(atMs)
    if (this.#last < this.#first) return undefined
    const pieceMs = this.#pieceMs()
    const pieces = this.#last - this.#first + 1
    const seriesOf = (all: ReadonlyMap<string, Counts>) => shownSeries(all, this.#first, pieces)
    return {
      startMs: this.#first * pieceMs,
      pieceMs,
      pieces,
      callers: seriesOf(this.#callers),
      applications: seriesOf(this.#applications),
    }
  }

  #include(atMs: number): void {
    this.#first = Math.min(this.#first, this.#pieceOf(atMs))
    this.#last = Math.max(this.#last, this.#pieceOf(atMs))
    while (this.#last - this.#first >= piecesMax && this.#width < pieceWidthsMs.length - 1) {
      this.#widen()
    }
  }

  #widen(): void {
    const narrowMs = this.#pieceMs()
    this.#width += 1
    const wider = (piece: number) => Math.floor((piece * narrowMs) / this.#pieceMs())
    this.#first = wider(this.#first)
    this.#last = wider(this.#last)
    for (const all of [this.#callers, this.#applications]) {
      for (const [name, counts] of all) all.set(name, mergedBy(wider, counts))
    }
  }

  #pieceMs(): number {
    return pieceWidthsMs[this.#width] ?? dayMs
  }

  #pieceOf(atMs: number): number {
    return Math.floor(atMs / this.#pieceMs())
  }
}

function count(all: Map<string, Counts>, name: string, piece: number): void {
  const known = all.has(name) || all.size < namesMax ? name : ''
  const counts = all.get(known) ?? new Map<number, number>()
  counts.set(piece, (counts.get(piece) ?? 0) + 1)
  all.set(known, counts)
}

function mergedBy(wider: (piece: number) => number, counts: Counts): Counts {
  const merged: Counts = new Map()
  for (const [piece, number] of counts) {
    merged.set(wider(piece), (merged.get(wider(piece)) ?? 0) + number)
  }
  return merged
}

/** Those with the most signatures by name, and all others as one. */
function shownSeries(
  all: ReadonlyMap<string, Counts>,
  first: number,
  pieces: number,
): readonly SeriesView[] {
  const series = [...all].map(([name, counts]) => ({
    name,
    counts: Array.from({ length: pieces }, (_, index) => counts.get(first + index) ?? 0),
  }))
  const named = series
    .filter(({ name }) => name !== '')
    .sort((one, other) => totalOf(other.counts) - totalOf(one.counts))
  const rest = [...named.slice(seriesShownMax), ...series.filter(({ name }) => name === '')]
  if (rest.length === 0) return named
  const counts = Array.from({ length: pieces }, (_, index) =>
    totalOf(rest.map((one) => one.counts[index] ?? 0)),
  )
  return [...named.slice(0, seriesShownMax), { name: 'all others', counts }]
}

const totalOf = (counts: readonly number[]): number =>
  counts.reduce((sum, number) => sum + number, 0)
