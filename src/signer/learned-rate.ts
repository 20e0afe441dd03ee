import { budgetWindowMs } from './key-units.ts'
import { UnitsWindow } from './units-window.ts'

/** From nothing to all that may be asked, where nothing is refused any more. */
const growsWithinMs = 4_000
/** However little passed, so much of all is tried: somebody has to find out. */
const leastShare = 1 / 20

/** What the vault has refused. */
interface RefusedPace {
  /** Units in a millisecond that had passed when more was refused. */
  readonly plateau: number
  /** The vault has signed again since; absent: not yet, or nobody has heard of it. */
  readonly sinceMs?: number
}

/**
 * How fast a vault can be asked, learned from what it refuses, because it does not say. As much as passed in the ten
 * seconds before, then more and ever more, until it is all that may be asked anyway: what a vault gives is found out at
 * the cost of a few refusals, and that it gives everything again within seconds.
 *
 * Pure in time, which is told in milliseconds that never go back.
 *
 * @see RFC 9438, CUBIC for Fast and Long-Distance Networks, with nothing taken off: the pause after a refusal does that
 */
export class LearnedRate {
  readonly #most: number
  readonly #passed = new UnitsWindow()
  #refused: RefusedPace | undefined

  /** @param unitsMax In ten seconds, whatever the vault lets pass. */
  constructor(unitsMax: number) {
    this.#most = unitsMax / budgetWindowMs
  }

  passed(units: number, nowMs: number): void {
    this.#passed.add(units, nowMs)
    if (this.#refused !== undefined) this.#refused = { sinceMs: nowMs, ...this.#refused }
  }

  refused(nowMs: number): void {
    this.#refused = { plateau: this.#passed.used(nowMs) / budgetWindowMs }
  }

  /** Infinity while nothing that was refused is remembered, or nothing has passed since. */
  unitsPerMs(nowMs: number): number {
    const { plateau, sinceMs } = this.#refused ?? {}
    if (plateau === undefined || sinceMs === undefined) return Infinity
    const sinceFor = nowMs - sinceMs
    if (sinceFor >= budgetWindowMs) return Infinity
    const grown = plateau + this.#most * (sinceFor / growsWithinMs) ** 3
    return Math.max(Math.min(grown, this.#most), this.#most * leastShare)
  }

  /** In ten seconds: what may be asked now, and what passed before where the vault has not signed again yet. */
  units(nowMs: number): number {
    const { plateau = Infinity, sinceMs } = this.#refused ?? {}
    const rate = sinceMs === undefined ? plateau : this.unitsPerMs(nowMs)
    return Math.round(Math.min(rate, this.#most) * budgetWindowMs)
  }

  /** Until all may be asked, if nothing is refused meanwhile. */
  grownInMs(nowMs: number): number {
    const { plateau, sinceMs } = this.#refused ?? {}
    if (plateau === undefined || sinceMs === undefined) return 0
    return Math.max(0, sinceMs + growsWithinMs * Math.cbrt(1 - plateau / this.#most) - nowMs)
  }
}
