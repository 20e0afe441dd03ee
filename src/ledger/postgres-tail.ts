import type { DatabaseSession } from '../database-access/database-session.ts'
import type { Row } from './chain.ts'
import { cutRowFrom } from './cut.ts'
import type { LedgerTail } from './ledger-tail.ts'
import { type Columns, rowColumns, rowFrom } from './postgres-writer.ts'

/** Commits follow one another, so a row that is seen has all before it. */
export const tailOfDatabase = (session: DatabaseSession): LedgerTail => ({
  rowsFrom: async (sequence, rowsMax) => {
    const rows = await session.query<Columns>(
      `SELECT ${rowColumns} FROM entry WHERE sequence >= $1 ORDER BY sequence LIMIT $2`,
      [sequence, rowsMax],
    )
    const found = rows.map(rowFrom)
    // Looked for only where something may be missing.
    if (found[0]?.sequence === Math.max(sequence, 1)) return found
    return behindCut(session, sequence, rowsMax)
  },
})

/** With what stands for those that were pruned, as both are at one moment: more may be pruned from one statement to the next. */
async function behindCut(
  session: DatabaseSession,
  sequence: number,
  rowsMax: number,
): Promise<readonly Row[]> {
  const all = await session.query<Columns>(
    `(SELECT ${rowColumns}, NULL AS statement FROM entry WHERE sequence >= $1 ORDER BY sequence LIMIT $2)
     UNION ALL SELECT NULL, NULL, NULL, statement FROM cut
     ORDER BY sequence NULLS FIRST`,
    [sequence, rowsMax],
  )
  const statement = all[0]?.['statement']
  if (typeof statement !== 'string') return all.map(rowFrom)
  const cut = cutRowFrom(Buffer.from(statement))
  const found = all.slice(1).map(rowFrom)
  return cut.sequence >= sequence ? [cut, ...found] : found
}
