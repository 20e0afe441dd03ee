import { z } from 'zod'
import { parseJson } from '../base/parse-json.ts'
import { createBatches } from '../database-access/batches.ts'
import type { DatabaseSession } from '../database-access/database-session.ts'
import type { ExchangeSucceeded } from './entry.ts'
import { exchangeAttempt, isExchangeSucceeded } from './ledger-schema.ts'

const exchangeForm = z.object({
  attempt: z.string(),
  application: z.string(),
  tenant: z.string(),
  scope: z.string(),
  tokenSha256: z.string(),
  expiresAtSeconds: z.number(),
})

/** What an entry `exchange.succeeded` says of the token that was obtained. */
export type ExchangeOnRecord = Pick<ExchangeSucceeded, keyof z.output<typeof exchangeForm>>

/** What the entries of an attempt say: one, or none. What it throws is a DatabaseAccessError. */
export type FindExchanges = (attempt: string) => Promise<readonly ExchangeOnRecord[]>

const itemsMax = 500

/** Looks them up by an index, those of many attempts in one statement. */
export function createPostgresExchanges(session: DatabaseSession): FindExchanges {
  return createBatches(itemsMax, async (attempts: readonly string[]) => {
    const rows = await session.query<{ readonly canonical: string }>(
      `SELECT canonical FROM entry
       WHERE ${isExchangeSucceeded} AND ${exchangeAttempt} = ANY ($1::text[])`,
      [attempts],
    )
    const exchanges = rows.flatMap(({ canonical }): readonly ExchangeOnRecord[] => {
      const { data } = exchangeForm.safeParse(parseJson(canonical))
      return data === undefined ? [] : [data]
    })
    return attempts.map((attempt) => exchanges.filter((exchange) => exchange.attempt === attempt))
  })
}
