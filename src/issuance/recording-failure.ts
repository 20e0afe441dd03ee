import type { RequestFailed } from '../ledger/entry.ts'
import { LedgerError } from '../ledger/ledger.ts'
import { costNothing, failureCode } from './failure-code.ts'
import type { AdmittedAttempt, IssuanceDeps } from './issuance-deps.ts'
import { failedEntry } from './on-record.ts'
import { recordFailure } from './record-failure.ts'

/**
 * Every granted attempt ends in the ledger, those that got nothing too, or is counted in it where it has not
 * begun there.
 */
export async function recordingFailure<T>(
  admitted: AdmittedAttempt,
  deps: IssuanceDeps,
  act: () => Promise<T>,
): Promise<T> {
  try {
    return await act()
  } catch (error) {
    // When the ledger itself failed there is nowhere to write that it did.
    if (error instanceof LedgerError) throw error
    const code = failureCode(error)
    const { onRecord, issuer, beginning } = admitted
    const { caller, application } = onRecord
    const isLeftOut =
      costNothing(error) &&
      !beginning.isOnRecord &&
      !deps.failureLines.mayWrite(caller, application, code)
    if (isLeftOut) {
      deps.turnedAway.count(code, issuer)
      throw error
    }
    const remembered = costNothing(error) ? error.remembered : undefined
    const entry: RequestFailed = {
      ...failedEntry(onRecord, code, deps.clock.nowMs()),
      ...(remembered === undefined ? {} : { remembered }),
    }
    return recordFailure(error, entry, admitted.attempt, deps)
  }
}
