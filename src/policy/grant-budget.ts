import { LRUCache } from 'lru-cache'
import type { Clock } from '../base/clock.ts'
import type { GrantName } from '../base/ids.ts'
import type { NamedCaller } from './decision.ts'

/** How often a grant may be used in any minute. */
export interface GrantLimits {
  /** By all of its callers together; absent: without limit. */
  readonly perMinute?: number
  /** By each of them, which is its issuer and its name there; absent: without limit. */
  readonly perCallerPerMinute?: number
}

/** Who uses a grant, by the name that the ledger has: of long ones, those that begin alike share. */
export type CallerOfGrant = Pick<NamedCaller, 'issuer' | 'subject'>

/** How often each grant has been used lately. */
export interface GrantBudget {
  /**
   * Takes one of the uses that both limits hold, or says when there will be one again. Taking is immediate: of two
   * callers that want the last one, one gets it. What was taken is not given back, so that a request
   * that fails afterwards cannot be repeated without end.
   */
  take(grant: GrantName, limits: GrantLimits, caller: CallerOfGrant): BudgetAnswer
}

export type BudgetAnswer =
  { readonly ok: true } | { readonly ok: false; readonly retryAfterSeconds: number }

/** 61 whole seconds hold any 60 s, so no minute, wherever it begins, has more than its number. */
const secondsCounted = 61

/** For what has taken a use of one grant before: it needs no other of that one, and has none left to wait for. */
export const havingTaken = (taken: GrantName, budget: GrantBudget): GrantBudget => ({
  take: (grant, limits, caller) =>
    grant === taken ? { ok: true } : budget.take(grant, limits, caller),
})

/** Some 5 MB of them; of more within a minute, those that were heard of longest ago count as new. */
const callersMax = 10_000

/**
 * Counts in this process alone; a restart forgets. Its size is bounded by the grants in use: what has
 * been idle for a minute is dropped; and of callers by their number. Its seconds are monotonic: a wall clock that is set neither gives
 * uses back nor shuts a grant.
 */
export function createMemoryGrantBudget(clock: Clock): GrantBudget {
  const windows = new Map<GrantName, SlidingMinute>()
  // Its room is taken at once, which a policy without such limits does not need.
  let ofCallers: LRUCache<string, SlidingMinute> | undefined
  const monotonicSeconds = () => Math.floor(clock.monotonicMs() / 1000)
  let sweptAtSeconds = monotonicSeconds()

  const sweep = (nowSeconds: number) => {
    if (nowSeconds - sweptAtSeconds < secondsCounted) return
    sweptAtSeconds = nowSeconds
    for (const [grant, window] of windows) if (window.idle(nowSeconds)) windows.delete(grant)
  }

  return {
    take: (grant, { perMinute, perCallerPerMinute }, caller) => {
      const nowSeconds = monotonicSeconds()
      sweep(nowSeconds)
      const limited: (readonly [SlidingMinute, number])[] = []
      if (perMinute !== undefined) {
        const window = windows.get(grant) ?? new SlidingMinute()
        windows.set(grant, window)
        limited.push([window, perMinute])
      }
      if (perCallerPerMinute !== undefined) {
        const name = `${grant} ${nameOf(caller)}`
        ofCallers ??= new LRUCache({ max: callersMax })
        const window = ofCallers.get(name) ?? new SlidingMinute()
        ofCallers.set(name, window)
        limited.push([window, perCallerPerMinute])
      }
      // Both or none: whom one of them refuses uses up nothing of the other.
      const waits = limited.map(([window, max]) => window.secondsUntilBelow(nowSeconds, max))
      const retryAfterSeconds = Math.max(0, ...waits)
      if (retryAfterSeconds > 0) return { ok: false, retryAfterSeconds }
      for (const [window] of limited) window.count()
      return { ok: true }
    },
  }
}

/** Names of issuers hold no spaces. */
const nameOf = ({ issuer, subject }: CallerOfGrant) => `${issuer} ${subject}`

/** One count for each of the last seconds, in a ring. */
class SlidingMinute {
  readonly #counts = new Uint32Array(secondsCounted)
  #total = 0
  #lastSecond = Number.NEGATIVE_INFINITY

  /** Seconds until enough of what was taken is older than the window; 0: one may be taken now. */
  secondsUntilBelow(nowSeconds: number, perMinute: number): number {
    this.#turnTo(nowSeconds)
    let remaining = this.#total
    for (let wait = 0; wait < secondsCounted; wait += 1) {
      if (remaining < perMinute) return wait
      remaining -= this.#counts[(this.#lastSecond + wait + 1) % secondsCounted] ?? 0
    }
    return secondsCounted
  }

  /** Takes one now, of the second that was asked about. */
  count(): void {
    const slot = this.#lastSecond % secondsCounted
    this.#counts[slot] = (this.#counts[slot] ?? 0) + 1
    this.#total += 1
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
}
