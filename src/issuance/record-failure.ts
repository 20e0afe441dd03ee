import type { AttemptId } from '../base/ids.ts'
import type { ExchangeFailed, RequestFailed, SignatureFailed } from '../ledger/entry.ts'
import type { IssuanceDeps } from './issuance-deps.ts'

/** The entries that say how something has failed. */
export type FailureEntry = RequestFailed | SignatureFailed | ExchangeFailed

/**
 * Writes how an act has failed, then fails as it did. When the ledger fails too, that is what the
 * caller is told; the entry that it did not take goes to the protected log with the failure itself,
 * because it may be all that says of a signature or a token that it may exist.
 *
 * @throws `failure`, or LedgerError.
 */
export async function recordFailure(
  failure: unknown,
  entry: FailureEntry,
  attempt: AttemptId,
  deps: Pick<IssuanceDeps, 'ledger' | 'events'>,
): Promise<never> {
  try {
    await deps.ledger.append([entry])
  } catch (ledgerFailure) {
    deps.events.unrecorded(attempt, entry, failure)
    throw ledgerFailure
  }
  throw failure
}
