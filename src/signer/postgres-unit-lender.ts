import { randomUUID } from 'node:crypto'
import type { DatabaseSession } from '../database-access/database-session.ts'
import type { LendingTerms, UnitLender } from './unit-lender.ts'

interface TradedRow {
  readonly granted: number
  readonly free: number
  readonly kept: number
  readonly returnsInMs: readonly number[]
  readonly returnsUnits: readonly number[]
  readonly others: readonly number[]
}

/**
 * Lends units of the budget of that name, by the function `trade_units` of the database: one call is one
 * transaction, and locks the budget for as long as that takes.
 */
export function createPostgresUnitLender(
  session: DatabaseSession,
  name: string,
  unitsMax: number,
  terms: LendingTerms,
): UnitLender {
  const replica = randomUUID()
  const countsMs = terms.askedWithinMs + terms.windowMs
  return {
    trade: async ({ needed, wanted, waiting, leaseId, reports, charged }) => {
      const [row] = await session.query<TradedRow>(tradeSql, [
        ...[name, unitsMax, replica, needed, wanted, waiting, leaseId],
        reports.map((report) => report.leaseId),
        reports.map(({ units }) => units),
        reports.map(({ isOver }) => isOver),
        ...[charged, countsMs, terms.windowMs, terms.placeMs],
      ])
      if (row === undefined) throw new TypeError('a function returns one row')
      const { granted, free, kept, returnsInMs, returnsUnits, others } = row
      const returns = returnsInMs.map((inMs, i) => ({ inMs, units: returnsUnits[i] ?? 0 }))
      return { granted, free, kept, returns, others }
    },
  }
}

const tradeSql = `
  SELECT granted, free, kept, returns_in_ms AS "returnsInMs", returns_units AS "returnsUnits", others
  FROM trade_units($1, $2, $3, $4, $5, $6, $7, $8::uuid[], $9::integer[], $10::boolean[],
                   $11, $12, $13, $14)`
