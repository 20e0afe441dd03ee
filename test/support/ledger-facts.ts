import type { Row } from '../../src/ledger/chain.ts'
import { LedgerCollector } from '../../src/reconcile/ledger-facts.ts'
import type { LedgerFacts } from '../../src/reconcile/ledger-facts.ts'

/** What a ledger of these rows says. */
export function ledgerFactsFrom(rows: Iterable<Row>): LedgerFacts {
  const collector = new LedgerCollector()
  collector.take(rows)
  return collector.facts()
}
