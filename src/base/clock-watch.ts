import type { Clock } from './clock.ts'

/** Notices that the wall clock was set, or went on while the machine slept. */
export interface ClockWatch {
  /** Compares both clocks with how they stood at the last look. Called on a schedule. */
  look(): void
}

/** Clocks are slewed by milliseconds a second; what is more than this between two looks is a jump. */
const jumpMinMs = 5000

/** @param onJump Told how far the wall clock went ahead of time itself; negative when it went back. */
export function createClockWatch(clock: Clock, onJump: (jumpMs: number) => void): ClockWatch {
  const aheadMs = () => clock.nowMs() - clock.monotonicMs()
  let lastAheadMs = aheadMs()
  return {
    look: () => {
      const nowAheadMs = aheadMs()
      const jumpMs = Math.round(nowAheadMs - lastAheadMs)
      lastAheadMs = nowAheadMs
      if (Math.abs(jumpMs) >= jumpMinMs) onJump(jumpMs)
    },
  }
}
