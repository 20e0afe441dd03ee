import type { Client } from 'pg'
import { disconnect, type Waits } from '../database-access/connection.ts'
import type { ExportedUpTo } from './exported-up-to.ts'
import { askingLedger } from './ledger-database.ts'
import type { LedgerDatabase } from './ledger-database.ts'
import { connectToWrite } from './postgres-writer.ts'

const waits: Waits = { connectMs: 10_000, lockMs: 10_000, answerMs: 60_000 }

interface CursorRow {
  readonly destination: string
  readonly sequence: number
  readonly hash: Buffer
}

/**
 * Of the destination, or of whichever was told least where none is named; undefined where nothing was sent there.
 *
 * @throws LedgerDatabaseError
 */
export async function readExportedUpTo(
  ledger: LedgerDatabase,
  destination?: string,
): Promise<ExportedUpTo | undefined> {
  const client = await connectToWrite(ledger, waits)
  try {
    return await askingLedger(ledger, async () => {
      const { rows } = await client.query<CursorRow>(
        `SELECT destination, sequence::float8 AS sequence, hash FROM export_cursor
         WHERE $1::text IS NULL OR destination = $1
         ORDER BY export_cursor.sequence LIMIT 1`,
        [destination ?? null],
      )
      return rows[0]
    })
  } finally {
    await disconnect(client)
  }
}

/** In a transaction: as whoever sends entries keeps it, when it is nobody's turn. */
export async function putExportedUpTo(
  { destination, sequence, hash }: ExportedUpTo,
  client: Client,
): Promise<void> {
  await client.query(
    `INSERT INTO export_cursor (destination, sequence, hash, replica, ends_at)
     VALUES ($1, $2, $3, gen_random_uuid(), '-infinity')`,
    [destination, sequence, hash],
  )
}
