import type { Client } from 'pg'
import { LedgerDatabaseError } from './ledger-database-error.ts'
import type { LedgerDatabaseErrorCode } from './ledger-database-error.ts'
import { nameOfLedger } from './ledger-database.ts'
import type { LedgerDatabase } from './ledger-database.ts'

interface ServerSettings {
  readonly fsync: string
  readonly synchronous_commit: string
  readonly read_only: string
  readonly encoding: string
}

/** Of `synchronous_commit`: the others answer before a disk holds the commit, or a standby that was asked to. */
const synchronous = ['on', 'remote_apply']

/**
 * That the server keeps what it answers, and can hold every entry. The connection then waits for its
 * commits as it does now, whatever the server is told later.
 *
 * @throws LedgerDatabaseError
 */
export async function assertDurable(client: Client, ledger: LedgerDatabase): Promise<void> {
  const { rows } = await client.query<ServerSettings & Record<string, unknown>>(
    `SELECT current_setting('fsync') AS fsync,
            set_config('synchronous_commit', current_setting('synchronous_commit'), false)
              AS synchronous_commit,
            current_setting('transaction_read_only') AS read_only,
            current_setting('server_encoding') AS encoding`,
  )
  const [settings] = rows
  const refuse = (code: LedgerDatabaseErrorCode, reason: string): never => {
    throw new LedgerDatabaseError(code, `${nameOfLedger(ledger)} ${reason}`)
  }
  if (settings?.encoding !== 'UTF8') refuse('LEDGER_NOT_UTF8', 'must be in a UTF8 database')
  if (settings?.read_only !== 'off') refuse('LEDGER_READ_ONLY', 'takes no writes: name the primary')
  if (settings?.fsync !== 'on') refuse('LEDGER_NOT_DURABLE', 'needs fsync = on')
  if (!synchronous.includes(settings?.synchronous_commit ?? '')) {
    refuse('LEDGER_NOT_DURABLE', 'needs synchronous_commit = on (or remote_apply)')
  }
}
