import type { Clock } from '../../src/base/clock.ts'

/** A clock that stands still until it is told to move. */
export interface FixedClock extends Clock {
  advance(seconds: number): void
}

export function fixedClock(startSeconds: number): FixedClock {
  let nowMs = startSeconds * 1000
  return {
    nowMs: () => nowMs,
    nowSeconds: () => Math.floor(nowMs / 1000),
    advance: (seconds) => {
      nowMs += seconds * 1000
    },
  }
}
