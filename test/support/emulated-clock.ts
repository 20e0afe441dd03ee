import type { Clock } from '../../src/base/clock.ts'
import type { EmulatorClock } from '../../src/emulator/emulator-clock.ts'

/** The emulated world's time for the product: to shift it is to let as much of it pass. */
export const emulatedClock = (clock: EmulatorClock): Clock => ({
  nowMs: () => clock.nowMs(),
  nowSeconds: () => clock.nowSeconds(),
  monotonicMs: () => performance.now() + clock.shiftSeconds * 1000,
})
