import type { Clock } from '../base/clock.ts'
import type { GrantName } from '../base/ids.ts'

/** How often each grant has been used lately. */
export interface GrantBudget {
  /**
   * Takes one of the grant's uses, or says when there will be one again. Taking is immediate: of two
   * callers that want the last one, one gets it. What was taken is not given back, so that a request
   * that fails afterwards cannot be repeated without end.
   */
  take(grant: GrantName, perMinute: number): BudgetAnswer
}

export type BudgetAnswer =
  { readonly ok: true } | { readonly ok: false; readonly retryAfterSeconds: number }

/** 61 whole seconds hold any 60 s, so no minute, wherever it begins, has more than its number. */
const secondsCounted = 61

/**
 * Counts in this process alone; a restart forgets. Its size is bounded by the grants in use: what has
 * been idle for a minute is dropped. Its seconds are monotonic: a wall clock that is set neither gives
 * uses back nor shuts a grant.
 */
export function createMemoryGrantBudget(clock: Clock): GrantBudget {
  const windows = new Map<GrantName, SlidingMinute>()
  const monotonicSeconds = () => Math.floor(clock.monotonicMs() / 1000)
  let sweptAtSeconds = monotonicSeconds()

  const sweep = (nowSeconds: number) => {
    if (nowSeconds - sweptAtSeconds < secondsCounted) return
    sweptAtSeconds = nowSeconds
    for (const [grant, window] of windows) if (window.idle(nowSeconds)) windows.delete(grant)
  }

  return {
    take: (grant, perMinute) => {
      const nowSeconds = monotonicSeconds()
      sweep(nowSeconds)
      const window = windows.get(grant) ?? new SlidingMinute()
      windows.set(grant, window)
      return window.take(nowSeconds, perMinute)
    },
  }
}

/** One count for each of the last seconds, in a ring. */
class SlidingMinute {
  readonly #counts = new Uint32Array(secondsCounted)
  #total = 0
  #lastSecond = Number.NEGATIVE_INFINITY

  take(nowSeconds: number, perMinute: number): BudgetAnswer {
    this.#turnTo(nowSeconds)
    if (this.#total >= perMinute) {
      return { ok: false, retryAfterSeconds: this.#secondsUntilBelow(perMinute) }
    }
    const slot = this.#lastSecond % secondsCounted
    this.#counts[slot] = (this.#counts[slot] ?? 0) + 1
    this.#total += 1
    return { ok: true }
  }

  idle(nowSeconds: number): boolean {
    this.#turnTo(nowSeconds)
    return this.#total === 0
  }

  /** Forgets the seconds that are over. */
  #turnTo(nowSeconds: number): void {
    if (nowSeconds - this.#lastSecond >= secondsCounted) {
      this.#counts.fill(0)
      this.#total = 0
    } else {
      for (let second = this.#lastSecond + 1; second <= nowSeconds; second += 1) {
        const slot = second % secondsCounted
        this.#total -= this.#counts[slot] ?? 0
        this.#counts[slot] = 0
      }
    }
    this.#lastSecond = nowSeconds
  }

  /** Seconds until enough of what was taken is older than the window. */
  #secondsUntilBelow(perMinute: number): number {
    let remaining = this.#total
    for (let wait = 1; wait < secondsCounted; wait += 1) {
      remaining -= this.#counts[(this.#lastSecond + wait) % secondsCounted] ?? 0
      if (remaining < perMinute) return wait
    }
    return secondsCounted
  }
}
