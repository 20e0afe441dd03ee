import type { AttemptId } from '../base/ids.ts'
import type { ExchangeSucceeded, SignatureMade } from '../ledger/entry.ts'
import type { IssuanceDeps } from './issuance-deps.ts'

/** The entries that say what there is in the world from now on. */
export type SuccessEntry = SignatureMade | ExchangeSucceeded

/**
 * Writes what an act has brought, whatever is revoked meanwhile. When the ledger does not take it, the
 * entry goes to the protected log: the signature or the token exists, and nothing else says which it is.
 *
 * @throws LedgerError What follows from it must then not happen.
 */
export async function recordSuccess(
  act: SuccessEntry,
  attempt: AttemptId,
  deps: Pick<IssuanceDeps, 'ledger' | 'events'>,
): Promise<void> {
  try {
    await deps.ledger.append([act])
  } catch (ledgerFailure) {
    deps.events.unrecorded(attempt, act, ledgerFailure)
    throw ledgerFailure
  }
}
