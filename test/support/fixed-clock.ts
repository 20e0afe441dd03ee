import type { Clock } from '../../src/base/clock.ts'

/** A clock that stands still until it is told to move. */
export interface FixedClock extends Clock {
  /** Time passes. */
  advance(seconds: number): void
  /** The wall clock alone moves: somebody sets it, forward or back, or the machine has slept. */
  jump(seconds: number): void
}

export function fixedClock(startSeconds: number): FixedClock {
  let nowMs = startSeconds * 1000
  // Like no reading of the wall clock, so that whoever mixes them up is found out.
  let monotonicMs = 12_345
  const jump = (seconds: number) => {
    nowMs += seconds * 1000
  }
  return {
    nowMs: () => nowMs,
    nowSeconds: () => Math.floor(nowMs / 1000),
    monotonicMs: () => monotonicMs,
    advance: (seconds) => {
      jump(seconds)
      monotonicMs += seconds * 1000
    },
    jump,
  }
}
