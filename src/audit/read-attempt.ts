import type { Clock } from '../base/clock.ts'
import type { AttemptId } from '../base/ids.ts'
import { attemptEntries, type AttemptEntries } from '../ledger/attempt-entries.ts'
import type { LedgerTail } from '../ledger/ledger-tail.ts'
import { asAuditor, type AuditDeps, type AuditRequest } from './audit.ts'
import type { AuditRefusal } from './audit-refusal.ts'
import type { LedgerTurns } from './ledger-turns.ts'
import { searchByTime } from './entry-search.ts'

/** What the ledger has of attempts. */
export interface AttemptStories {
  /** @throws AuditError */
  of(id: AttemptId): Promise<AttemptEntries>
}

export const createAttemptStories = (
  tail: LedgerTail,
  turns: LedgerTurns,
  clock: Clock,
): AttemptStories => ({
  of: (id) => turns(() => attemptEntries(id, searchByTime(tail), clock.nowMs())),
})

export interface AttemptRequest extends Omit<AuditRequest, 'read'> {
  /** Of the attempt that is asked for. */
  readonly id: AttemptId
}

export type AttemptOutcome =
  | { readonly ok: true; readonly found: AttemptEntries }
  | { readonly ok: false; readonly refusal: AuditRefusal }

/**
 * The entries of one attempt, as they are stored.
 *
 * @throws AuditError | CallerError | LedgerError
 */
export function readAttempt(
  { id, ...request }: AttemptRequest,
  deps: AuditDeps & { readonly stories: AttemptStories },
): Promise<AttemptOutcome> {
  return asAuditor({ ...request, read: 'attempt' }, deps, async () =>
    attemptOutcome(await deps.stories.of(id)),
  )
}

/** An attempt is unknown only where all was looked at that could be of it. */
export const attemptOutcome = (found: AttemptEntries): AttemptOutcome =>
  found.rows.length === 0 && found.complete
    ? { ok: false, refusal: { reason: 'attempt_unknown' } }
    : { ok: true, found }
