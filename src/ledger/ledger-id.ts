import { parseCut } from './cut.ts'
import type { LedgerSource } from './ledger-source.ts'

/**
 * Tells ledgers apart: base64url of the hash of the first entry there ever was, which a cut keeps when it is pruned.
 * Undefined while there is none, or where the rows begin with neither.
 *
 * @throws LedgerFileError | LedgerDatabaseError when it cannot be read.
 */
export async function ledgerIdOf(
  ledger: Pick<LedgerSource, 'pagesAfter'>,
): Promise<string | undefined> {
  for await (const page of ledger.pagesAfter(0)) {
    for (const { sequence, hash, canonical, isCut } of page) {
      if (isCut === true) return parseCut(canonical)?.ledger
      return sequence === 1 ? Buffer.from(hash).toString('base64url') : undefined
    }
  }
  return undefined
}
