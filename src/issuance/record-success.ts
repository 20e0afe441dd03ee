import type { AttemptId } from '../base/ids.ts'
import type { Entry, ExchangeSucceeded, SignatureMade } from '../ledger/entry.ts'
import type { IssuanceDeps } from './issuance-deps.ts'

/** The entries that say what there is in the world from now on. */
export type SuccessEntry = SignatureMade | ExchangeSucceeded

/**
 * Writes what an act has brought, with what follows from it in the same commit. When the ledger does
 * not take it, the entry of the act goes to the protected log: the signature or the token exists, and
 * nothing else says which it is.
 *
 * @throws LedgerError What follows has then not happened.
 */
export async function recordSuccess(
  act: SuccessEntry,
  following: readonly Entry[],
  attempt: AttemptId,
  deps: Pick<IssuanceDeps, 'ledger' | 'events'>,
): Promise<void> {
  try {
    await deps.ledger.append([act, ...following])
  } catch (ledgerFailure) {
    deps.events.unrecorded(attempt, act, ledgerFailure)
    throw ledgerFailure
  }
}
