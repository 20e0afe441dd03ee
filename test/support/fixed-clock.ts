import type { Clock } from '../../src/base/clock.ts'

/** A clock that stands still until it is told to move. */
export interface FixedClock extends Clock {
  /** Time passes. */
  advance(seconds: number): void
  /** Somebody sets the machine's clock, forward or back; no time passes. */
  set(bySeconds: number): void
}

export function fixedClock(startSeconds: number): FixedClock {
  let nowMs = startSeconds * 1000
  let passedMs = 0
  return {
    nowMs: () => nowMs,
    nowSeconds: () => Math.floor(nowMs / 1000),
    monotonicMs: () => passedMs,
    advance: (seconds) => {
      nowMs += seconds * 1000
      passedMs += seconds * 1000
    },
    set: (bySeconds) => {
      nowMs += bySeconds * 1000
    },
  }
}
