import type { Entry } from '../ledger/entry.ts'
import { LedgerError, TokenUseDenied } from '../ledger/ledger.ts'
import type { TokenUse } from '../ledger/token-use.ts'
import type { AdmittedAttempt, IssuanceDeps } from './issuance-deps.ts'
import { grantedEntry } from './on-record.ts'

type Deps = Pick<IssuanceDeps, 'clock' | 'isInForce' | 'knownUses' | 'ledger'>

/**
 * Appends what lets something happen: under the configuration and the revocations that were heeded, and, the
 * first time in an attempt, with the use of the caller's token that it takes. That is not given back: what
 * fails afterwards cannot be asked for without end.
 *
 * @throws LedgerError
 */
export async function appendDecided(
  entries: readonly Entry[],
  { decidedUnder, tokenUse, beginning }: AdmittedAttempt,
  deps: Deps,
): Promise<void> {
  assertInForce(deps)
  if (tokenUse === undefined || beginning.isUseTaken) {
    await deps.ledger.append(entries, { decidedUnder })
  } else {
    await hearing(tokenUse, deps, () => deps.ledger.append(entries, { decidedUnder, tokenUse }))
    beginning.isUseTaken = true
  }
  beginning.isOnRecord = true
}

/** @throws LedgerError when another configuration is in force than this was decided by. */
export function assertInForce({ isInForce }: Pick<IssuanceDeps, 'isInForce'>): void {
  if (!isInForce()) throw new LedgerError('LEDGER_OVERTAKEN')
}

/** Whether what was decided does not stand any more, so that it can be decided again. */
export const isOvertaken = (error: unknown): error is LedgerError =>
  error instanceof LedgerError && error.code === 'LEDGER_OVERTAKEN'

async function hearing(
  use: TokenUse,
  { knownUses }: Deps,
  append: () => Promise<void>,
): Promise<void> {
  try {
    await append()
    knownUses.taken(use)
  } catch (error) {
    if (error instanceof TokenUseDenied) knownUses.denied(use, error.denial)
    throw error
  }
}

/**
 * The grant, and the use of the caller's token, where nothing has written them down yet: with the first act
 * otherwise.
 *
 * @throws LedgerError
 */
export async function beginWithGrant(admitted: AdmittedAttempt, deps: Deps): Promise<void> {
  const { beginning, tokenUse } = admitted
  const isUseTaken = tokenUse === undefined || beginning.isUseTaken
  if (beginning.isGrantWritten && isUseTaken) return
  await appendDecided([grantedEntry(admitted.onRecord, deps.clock.nowMs())], admitted, deps)
  beginning.isGrantWritten = true
}
