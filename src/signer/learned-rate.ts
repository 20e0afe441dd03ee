import { budgetWindowMs, largestUnits } from './key-units.ts'
import { UnitsWindow } from './units-window.ts'

/** From nothing to all that may be asked, where nothing is refused any more. */
const growsWithinMs = 4_000
/** However little passed, a signature is tried: somebody has to find out. */
const leastUnitsPerMs = largestUnits / budgetWindowMs

/** What the vault has refused. */
interface RefusedPace {
  /** Units in a millisecond that had passed when more was refused. */
  readonly plateau: number
  /** It was asked at a pace and has refused all the same: so what passed is what it gives, and not what was asked for. */
  readonly isKnown: boolean
  /** When it was asked by everybody again; absent: it is left alone. */
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
  }

  /** It is left alone from now on. */
  refused(nowMs: number): void {
    const isKnown = this.unitsPerMs(nowMs) < Infinity
    this.#refused = { plateau: this.#passed.used(nowMs) / budgetWindowMs, isKnown }
  }

  /** It is asked by everybody again. */
  askedAgain(nowMs: number): void {
    if (this.#refused !== undefined) this.#refused = { sinceMs: nowMs, ...this.#refused }
  }

  /** As if it were asked again now, where it is left alone; Infinity where nothing that was refused is remembered. */
  unitsPerMs(nowMs: number): number {
    if (this.#refused === undefined) return Infinity
    const { plateau, sinceMs = nowMs } = this.#refused
    const grownForMs = nowMs - sinceMs
    if (grownForMs >= budgetWindowMs) return Infinity
    const grown = plateau + this.#most * (grownForMs / growsWithinMs) ** 3
    return Math.min(Math.max(grown, leastUnitsPerMs), this.#most)
  }

  /** In ten seconds. */
  units(nowMs: number): number {
    return Math.round(Math.min(this.unitsPerMs(nowMs), this.#most) * budgetWindowMs)
  }

  /** Until all may be asked, if it is asked again now and nothing is refused meanwhile. */
  grownInMs(nowMs: number): number {
    if (this.#refused === undefined) return 0
    const { plateau, sinceMs = nowMs } = this.#refused
    return Math.max(0, sinceMs + growsWithinMs * Math.cbrt(1 - plateau / this.#most) - nowMs)
  }

  /**
   * About how long so many units take: at the pace of now where that is what the vault gives, and otherwise as if
   * nothing were refused any more.
   */
  waitMs(units: number, nowMs: number): number {
    const atThisPaceMs = units / this.unitsPerMs(nowMs)
    if (this.#refused === undefined || this.#refused.isKnown) return atThisPaceMs
    return Math.min(atThisPaceMs, this.grownInMs(nowMs) + units / this.#most)
  }
}
