import type { Client } from 'pg'
import { disconnect, type Waits } from '../database-access/connection.ts'
import type { Row } from './chain.ts'
import { askingLedger, connectToLedger } from './ledger-database.ts'
import type { LedgerDatabase } from './ledger-database.ts'
import { cutRowFrom } from './cut.ts'
import { assertUsable, readSchemaState } from './ledger-schema.ts'
import { type Columns, rowColumns, rowFrom } from './postgres-writer.ts'

/** A page of a large ledger may have to be fetched from a disk that others use too. */
const waits: Waits = { connectMs: 10_000, lockMs: 10_000, answerMs: 60_000 }

/** Rows that are in memory at a time. */
const pageRows = 1000

/**
 * Every stored row of a ledger in PostgreSQL in order, unverified, behind what stands for those that were pruned,
 * as it was at one moment: also while
 * replicas append, and from a standby.
 *
 * @throws LedgerDatabaseError when it cannot be read, or no longer.
 */
export const readPages = (ledger: LedgerDatabase) =>
  pagesInOrder(ledger, 'ORDER BY sequence ASC', Number.MIN_SAFE_INTEGER)

/** The same of the rows behind that sequence alone. */
export const readPagesAfter = (ledger: LedgerDatabase, sequence: number) => {
  if (!Number.isSafeInteger(sequence)) throw new RangeError(`${sequence} is no sequence`)
  // A cursor is declared without parameters.
  return pagesInOrder(ledger, `WHERE sequence > ${sequence} ORDER BY sequence ASC`, sequence)
}

/** The same from the last row back to the first. */
export const readPagesBackwards = (ledger: LedgerDatabase) =>
  pagesInOrder(ledger, 'ORDER BY sequence DESC', Number.MAX_SAFE_INTEGER)

/** @param behind Whoever has read up to there needs nothing that stands for what was pruned before. */
async function* pagesInOrder(
  ledger: LedgerDatabase,
  which: string,
  behind: number,
): AsyncGenerator<readonly Row[], void, undefined> {
  const client = await connectToLedger(ledger, waits)
  try {
    await askingLedger(ledger, () => openCursor(client, ledger, which))
    const cut = await askingLedger(ledger, () => readCut(client))
    // Of what is no cut nobody has read up to there.
    if (cut !== undefined && !(cut.sequence <= behind)) yield [cut]
    let page: readonly Row[]
    do {
      page = await askingLedger(ledger, () => fetchPage(client))
      yield page
    } while (page.length === pageRows)
  } finally {
    await disconnect(client)
  }
}

async function openCursor(client: Client, ledger: LedgerDatabase, which: string): Promise<void> {
  await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY')
  assertUsable(await readSchemaState(client, ledger.schema), ledger)
  await client.query(
    `DECLARE entries NO SCROLL CURSOR FOR SELECT ${rowColumns} FROM entry ${which}`,
  )
}

async function readCut(client: Client): Promise<Row | undefined> {
  // Tables of an earlier release have none.
  const { rows: tables } = await client.query("SELECT FROM pg_class WHERE oid = to_regclass('cut')")
  if (tables.length === 0) return undefined
  const { rows } = await client.query<{ readonly statement: string }>('SELECT statement FROM cut')
  const [cut] = rows
  return cut && cutRowFrom(Buffer.from(cut.statement))
}

async function fetchPage(client: Client): Promise<readonly Row[]> {
  const { rows } = await client.query<Columns>(`FETCH ${pageRows} FROM entries`)
  return rows.map(rowFrom)
}
