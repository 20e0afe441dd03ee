import { disconnect, type Waits } from '../database-access/connection.ts'
import { askingLedger } from './ledger-database.ts'
import type { LedgerDatabase } from './ledger-database.ts'
import { readSchemaState } from './ledger-schema.ts'
import { connectToWrite } from './postgres-writer.ts'

/** A step may have to wait for replicas that are at work. */
const waits: Waits = { connectMs: 60_000, lockMs: 50_000, answerMs: 60_000 }

/**
 * Makes the tables of a ledger, or extends them; those that are whole, or of a later release, are left
 * alone. Returns the version that they are of then.
 *
 * @throws LedgerDatabaseError
 */
export async function prepareLedger(ledger: LedgerDatabase): Promise<number> {
  const client = await connectToWrite(ledger, waits)
  try {
    const state = await askingLedger(ledger, () => readSchemaState(client, ledger.schema))
    return state.kind === 'ledger' ? state.version : 0
  } finally {
    await disconnect(client)
  }
}
