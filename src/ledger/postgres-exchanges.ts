import { createBatches } from '../database-access/batches.ts'
import type { DatabaseSession } from '../database-access/database-session.ts'
import type { ExchangeSucceeded } from './entry.ts'
import { exchangeAttempt, isExchangeSucceeded } from './ledger-schema.ts'

/** The entries `exchange.succeeded` of an attempt: one, or none. What it throws is a DatabaseAccessError. */
export type FindExchanges = (attempt: string) => Promise<readonly ExchangeSucceeded[]>

const itemsMax = 500

/** Looks them up by an index, those of many attempts in one statement. */
export function createPostgresExchanges(session: DatabaseSession): FindExchanges {
  return createBatches(itemsMax, async (attempts: readonly string[]) => {
    const rows = await session.query<{ readonly canonical: string }>(
      `SELECT canonical FROM entry
       WHERE ${isExchangeSucceeded} AND ${exchangeAttempt} = ANY ($1::text[])`,
      [attempts],
    )
    const entries = rows.map(({ canonical }) => JSON.parse(canonical) as ExchangeSucceeded)
    return attempts.map((attempt) => entries.filter((entry) => entry.attempt === attempt))
  })
}
