import { budgetWindowMs } from './key-units.ts'
import { UnitsWindow } from './units-window.ts'

/** What is asked for at first of what was refused. */
const cutTo = 0.9
/**
 * From nothing to all that a vault may be asked, where nothing is refused any more. No sooner: it may refuse nothing
 * before its own window is full.
 */
const growsWithinMs = budgetWindowMs
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
 * How fast a vault can be asked, learned from what it refuses, because it does not say. A tenth less than passed in
 * the ten seconds before, then more again: slowly where it was refused before, and ever faster beyond, until it is
 * all that may be asked anyway.
 *
 * Pure in time, which is told in milliseconds that never go back.
 *
 * @see RFC 9438, CUBIC for Fast and Long-Distance Networks
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
    const most = this.#most
    const backAfterMs = growsWithinMs * Math.cbrt(((1 - cutTo) * plateau) / most)
    const grown = plateau + most * ((nowMs - sinceMs - backAfterMs) / growsWithinMs) ** 3
    return grown < most ? Math.max(grown, most * leastShare) : Infinity
  }
}
