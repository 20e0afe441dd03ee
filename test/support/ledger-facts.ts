import { ChainCheck } from '../../src/ledger/chain-check.ts'
import type { ChainCheckOptions } from '../../src/ledger/chain-check.ts'
import type { Row } from '../../src/ledger/chain.ts'
import { LedgerCollector } from '../../src/reconcile/ledger-facts.ts'
import type { LedgerFacts } from '../../src/reconcile/ledger-facts.ts'

/** What a ledger of these rows says. */
export const ledgerFactsFrom = (rows: Iterable<Row>): Promise<LedgerFacts> =>
  ledgerFactsOfPages([rows])

/** The same of rows that come in pages. */
export async function ledgerFactsOfPages(
  pages: Iterable<Iterable<Row>>,
  options: ChainCheckOptions = {},
): Promise<LedgerFacts> {
  const chain = new ChainCheck(options)
  try {
    const collector = new LedgerCollector(chain)
    for (const page of pages) await collector.take(page)
    await collector.settled()
    return collector.facts()
  } finally {
    await chain.end()
  }
}
