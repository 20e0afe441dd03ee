import { largestUnits } from './key-units.ts'
import type { SignBudget } from './sign-budget.ts'

/** Of what nobody took, as much is kept as comes in that time, and one signature with the largest key at least. */
const keptMs = 250
/** A rate that grows is looked at again so soon. */
const lookAgainMs = 250

/** How fast a budget may be spent. */
export interface UnitsPace {
  /** As of then; Infinity: however fast. */
  unitsPerMs(nowMs: number): number
  /** About how long so many units take from then on: the rate may change meanwhile. */
  waitMs(units: number, nowMs: number): number
}

/** A budget that is spent no faster than at a pace, evenly. */
export function createPacedBudget(budget: SignBudget, pace: UnitsPace): SignBudget {
  const bucket = new UnitBucket(pace)
  return {
    get unitsMax() {
      return budget.unitsMax
    },
    get isAway() {
      return budget.isAway
    },
    take: (units, nowMs, unitsWaiting) => {
      const pacedMs = bucket.waitMs(units, nowMs)
      if (pacedMs > 0) return { granted: false, waitMs: Math.min(pacedMs, lookAgainMs) }
      const answer = budget.take(units, nowMs, unitsWaiting)
      if (answer.granted) bucket.take(units, nowMs)
      return answer
    },
    asked: (units, nowMs) => {
      budget.asked(units, nowMs)
    },
    giveBack: (units) => {
      budget.giveBack(units)
      bucket.giveBack(units)
    },
    charge: (units, nowMs) => {
      budget.charge(units, nowMs)
    },
    waitMs: (units, nowMs) => Math.max(bucket.waitMs(units, nowMs), budget.waitMs(units, nowMs)),
    used: (nowMs) => budget.used(nowMs),
  }
}

class UnitBucket {
  readonly #pace: UnitsPace
  #units = 0
  #atMs = -Infinity

  constructor(pace: UnitsPace) {
    this.#pace = pace
  }

  take(units: number, nowMs: number): void {
    this.#units = this.#filled(nowMs) - units
    this.#atMs = nowMs
  }

  giveBack(units: number): void {
    this.#units += units
  }

  /** Of a time to come too. */
  waitMs(units: number, nowMs: number): number {
    const lacking = units - this.#filled(nowMs)
    return lacking <= 0 ? 0 : Math.ceil(this.#pace.waitMs(lacking, nowMs))
  }

  #filled(nowMs: number): number {
    const rate = this.#pace.unitsPerMs(nowMs)
    if (rate === Infinity) return Infinity
    const most = Math.max(largestUnits, rate * keptMs)
    return Math.min(most, this.#units + rate * Math.max(0, nowMs - this.#atMs))
  }
}
