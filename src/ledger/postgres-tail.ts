import type { DatabaseSession } from '../database-access/database-session.ts'
import type { LedgerTail } from './ledger-tail.ts'
import { type Columns, rowColumns, rowFrom } from './postgres-writer.ts'

/** Commits follow one another, so a row that is seen has all before it. */
export const tailOfDatabase = (session: DatabaseSession): LedgerTail => ({
  rowsFrom: async (sequence, rowsMax) => {
    const rows = await session.query<Columns>(
      `SELECT ${rowColumns} FROM entry WHERE sequence >= $1 ORDER BY sequence LIMIT $2`,
      [sequence, rowsMax],
    )
    return rows.map(rowFrom)
  },
})
