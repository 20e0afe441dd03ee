import { type ChainEvidence, chainViewFrom } from '../chain-view.ts'
import type { Evidence } from '../custody/ledger-verdict.ts'
import { verifyLedger } from '../custody/verify-ledger.ts'
import { sqliteCode } from '../ledger/ledger-file.ts'
import type { LedgerSource } from '../ledger/ledger-source.ts'
import { CommandError } from './command-error.ts'

/**
 * Holds a ledger to its own heads and to those that others keep. Of a file that is damaged as a database nothing
 * is known: reconcile has found that it is broken.
 *
 * @throws CommandError when an anchor cannot be read; what the ledger throws.
 */
export async function readChainView(
  ledger: LedgerSource,
  evidence: Evidence,
): Promise<ChainEvidence> {
  try {
    return chainViewFrom(await verifyLedger(ledger.pages(), evidence))
  } catch (error) {
    if (!(error instanceof Error)) throw error
    if (sqliteCode(error) !== undefined) return {}
    if ('syscall' in error) throw new CommandError(error.message)
    throw error
  }
}
