import type { Client } from 'pg'
import { disconnect, type Waits } from '../database-access/connection.ts'
import { canonicalEntry } from './chain.ts'
import { canonicalCut, type Cut, prunedEntry } from './cut.ts'
import { LedgerDatabaseError } from './ledger-database-error.ts'
import { askingLedger, nameOfLedger } from './ledger-database.ts'
import type { LedgerDatabase } from './ledger-database.ts'
import { cutSince } from './ledger-schema.ts'
import { connectToWrite, insertBehind, isSameHash, lockTip } from './postgres-writer.ts'

/** Nobody waits for what removes rows, which replicas do not look at, and it may take long. */
const waits: Waits = { connectMs: 10_000, lockMs: 60_000, answerMs: 3_600_000 }

/**
 * Removes the entries up to a cut from a ledger in PostgreSQL, and appends what tells of it, in one transaction.
 * Replicas go on: the tip is locked when the rows are gone, for as long as an append takes.
 *
 * @throws LedgerDatabaseError
 */
export async function prunePostgresLedger(ledger: LedgerDatabase, cut: Cut): Promise<void> {
  const client = await connectToWrite(ledger, waits)
  try {
    await askingLedger(ledger, () => prune(client, ledger, cut))
  } finally {
    // Whatever is not committed by then is rolled back.
    await disconnect(client)
  }
}

async function prune(client: Client, ledger: LedgerDatabase, cut: Cut): Promise<void> {
  await client.query('BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE')
  // One after the other.
  await client.query('LOCK TABLE cut IN EXCLUSIVE MODE')
  const { rows } = await client.query<{ readonly hash: Buffer }>(
    'SELECT hash FROM entry WHERE sequence = $1',
    [cut.sequence],
  )
  const [last] = rows
  if (last === undefined || !isSameHash(last.hash, Buffer.from(cut.hash, 'base64url'))) {
    throw new LedgerDatabaseError(
      'LEDGER_REFUSED',
      `${nameOfLedger(ledger)} has no such entry ${cut.sequence} any more: it was pruned or replaced meanwhile`,
    )
  }
  await client.query('DELETE FROM entry WHERE sequence <= $1', [cut.sequence])
  await putCut(canonicalCut(cut), client)
  const tip = await lockTip(client, ledger)
  await insertBehind(tip, [canonicalEntry(prunedEntry(cut))], client, ledger)
  await client.query('COMMIT')
}

/** In a transaction; older programs refuse the ledger from then on. */
export async function putCut(canonical: string, client: Client): Promise<void> {
  await client.query(
    `INSERT INTO cut (statement) VALUES ($1)
     ON CONFLICT (one) DO UPDATE SET statement = excluded.statement`,
    [canonical],
  )
  await client.query(
    `UPDATE ledger_version SET usable_from = greatest(usable_from, $1)
     WHERE version = (SELECT max(version) FROM ledger_version)`,
    [cutSince],
  )
}
