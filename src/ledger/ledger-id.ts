import type { Link, Row } from './chain.ts'
import { parseCut } from './cut.ts'
import type { LedgerSource } from './ledger-source.ts'

/**
 * Tells ledgers apart: base64url of the hash of the first entry there ever was, which a cut keeps when it is pruned.
 * Undefined where the rows begin with neither.
 *
 * @param first The first row that there is, or its place alone where that is no cut.
 */
export function ledgerIdFrom(first: Link | Row): string | undefined {
  if ('isCut' in first) return parseCut(first.canonical)?.ledger
  return first.sequence === 1 ? Buffer.from(first.hash).toString('base64url') : undefined
}

/**
 * The same of a ledger wherever it is kept; undefined while it has no entry, too.
 *
 * @throws LedgerFileError | LedgerDatabaseError when it cannot be read.
 */
export async function ledgerIdOf(
  ledger: Pick<LedgerSource, 'pagesAfter'>,
): Promise<string | undefined> {
  for await (const page of ledger.pagesAfter(0)) {
    for (const first of page) return ledgerIdFrom(first)
  }
  return undefined
}
