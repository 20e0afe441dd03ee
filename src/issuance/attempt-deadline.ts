import type { Clock } from '../base/clock.ts'
import type { AdmittedAttempt } from './issuance-deps.ts'

/** A stop drains for 25 s, of which an exchange that begins last has 2 s; a caller's patience is longer. */
export const attemptLastsMs = 23_000

/** What of `mostMs` is left to the attempt. */
export function timeLeftMs(
  { beginning: { deadlineMs } }: Pick<AdmittedAttempt, 'beginning'>,
  mostMs: number,
  clock: Clock,
): number {
  return Math.max(0, Math.min(mostMs, deadlineMs - clock.monotonicMs()))
}
