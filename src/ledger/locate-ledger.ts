import { parsePostgresUrl, postgresUrlRule } from '../base/postgres-url.ts'
import type { PostgresDatabase } from '../base/postgres-url.ts'
import { readTextFile } from '../base/text-file.ts'
import { LedgerDatabaseError } from './ledger-database-error.ts'
import type { LedgerDatabase } from './ledger-database.ts'

/** Where an operator said that a ledger in PostgreSQL is. */
export interface LedgerPlace {
  readonly at: { readonly database: PostgresDatabase } | { readonly urlFile: string }
  readonly schema: string
}

/**
 * Reads the file that holds the URL, where there is one.
 *
 * @throws LedgerDatabaseError when it does not hold one; the message names the file, and nothing of what is in it.
 */
export async function locateLedger({ at, schema }: LedgerPlace): Promise<LedgerDatabase> {
  if ('database' in at) return { database: at.database, schema }
  const reading = await readTextFile(at.urlFile)
  if (!reading.ok) throw notLocated(`${at.urlFile} cannot be read. ${reading.fault}`)
  const database = parsePostgresUrl(reading.text)
  if (database === undefined) throw notLocated(`${at.urlFile} must hold ${postgresUrlRule}`)
  return { database, schema }
}

const notLocated = (message: string) => new LedgerDatabaseError('LEDGER_NOT_LOCATED', message)
