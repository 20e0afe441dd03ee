import type { LogsUnreadable } from '../finding.ts'
import type { Accounting } from '../reconcile.ts'
import { logNameOf } from './log-kinds.ts'
import type { RoundState } from './round-state.ts'

/** Fewer may be a network that mends itself, and are told by the metrics and on standard error. */
export const roundsUntilTold = 3

/** Those that could not be read in this round, with what was known of them. */
export function unreadableAfter(
  before: RoundState['unreadable'],
  { vaultLog, signInLog, auditLog }: Pick<Accounting, 'vaultLog' | 'signInLog' | 'auditLog'>,
  nowMs: number,
): RoundState['unreadable'] {
  const known = new Map(before.map((one) => [logNameOf(one.of, one.log), one]))
  const logs = [
    ['vault', vaultLog],
    ['sign-ins', signInLog],
    ['audits', auditLog],
  ] as const
  return logs.flatMap(([of, summary]) =>
    (summary?.unreadable ?? []).map(({ log, code, why }) => {
      const { sinceMs = nowMs, rounds = 0 } = known.get(logNameOf(of, log)) ?? {}
      return { of, log, code, why, sinceMs, rounds: rounds + 1 }
    }),
  )
}

/** Of those that have been so for some rounds in a row. */
export const unreadableFindings = (
  unreadable: RoundState['unreadable'],
): readonly LogsUnreadable[] =>
  unreadable
    .filter(({ rounds }) => rounds >= roundsUntilTold)
    .map(({ of, log, why, sinceMs }) => ({
      kind: 'logs.unreadable',
      of,
      log,
      why,
      fromMs: sinceMs,
    }))
