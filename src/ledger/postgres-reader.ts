import type { Client } from 'pg'
import { disconnect, type Waits } from '../database-access/connection.ts'
import type { Row } from './chain.ts'
import { askingLedger, connectToLedger } from './ledger-database.ts'
import type { LedgerDatabase } from './ledger-database.ts'
import { assertUsable, readSchemaState } from './ledger-schema.ts'
import { type Columns, rowColumns, rowFrom } from './postgres-writer.ts'

/** A page of a large ledger may have to be fetched from a disk that others use too. */
const waits: Waits = { connectMs: 10_000, lockMs: 10_000, answerMs: 60_000 }

/** Rows that are in memory at a time. */
const pageRows = 1000

/**
 * Every stored row of a ledger in PostgreSQL in order, unverified, as it was at one moment: also while
 * replicas append, and from a standby.
 *
 * @throws LedgerDatabaseError when it cannot be read, or no longer.
 */
export const readPages = (ledger: LedgerDatabase) => pagesInOrder(ledger, 'ASC')

/** The same from the last row back to the first. */
export const readPagesBackwards = (ledger: LedgerDatabase) => pagesInOrder(ledger, 'DESC')

async function* pagesInOrder(
  ledger: LedgerDatabase,
  order: 'ASC' | 'DESC',
): AsyncGenerator<readonly Row[], void, undefined> {
  const client = await connectToLedger(ledger, waits)
  try {
    await askingLedger(ledger, () => openCursor(client, ledger, order))
    let page: readonly Row[]
    do {
      page = await askingLedger(ledger, () => fetchPage(client))
      yield page
    } while (page.length === pageRows)
  } finally {
    await disconnect(client)
  }
}

async function openCursor(
  client: Client,
  ledger: LedgerDatabase,
  order: 'ASC' | 'DESC',
): Promise<void> {
  await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY')
  assertUsable(await readSchemaState(client, ledger.schema), ledger)
  await client.query(
    `DECLARE entries NO SCROLL CURSOR FOR SELECT ${rowColumns} FROM entry ORDER BY sequence ${order}`,
  )
}

async function fetchPage(client: Client): Promise<readonly Row[]> {
  const { rows } = await client.query<Columns>(`FETCH ${pageRows} FROM entries`)
  return rows.map(rowFrom)
}
