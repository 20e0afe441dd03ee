import type { Clock } from '../../src/base/clock.ts'
import type { EmulatorClock } from '../../src/emulator/emulator-clock.ts'

/** The clock of a service in the emulator's world: shifting the emulator lets time pass for both. */
export interface WorldClock extends Clock {
  /** The service's wall clock alone is set, forward or back; no time passes. */
  jump(seconds: number): void
}

/** @param aheadSeconds By how much the service's wall clock is wrong from the beginning. */
export function worldClock(emulator: EmulatorClock, aheadSeconds = 0): WorldClock {
  let ahead = aheadSeconds
  return {
    nowMs: () => emulator.nowMs() + ahead * 1000,
    nowSeconds: () => emulator.nowSeconds() + ahead,
    monotonicMs: () => performance.now() + emulator.shiftSeconds * 1000,
    jump: (seconds) => {
      ahead += seconds
    },
  }
}
