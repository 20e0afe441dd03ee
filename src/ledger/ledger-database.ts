import { type Client, DatabaseError } from 'pg'
import { postgresName } from '../base/postgres-url.ts'
import { connect, PasswordMissing, ServerNotTrusted } from '../database-access/connection.ts'
import type { DatabasePlace, Waits } from '../database-access/connection.ts'
import { LedgerDatabaseError } from './ledger-database-error.ts'
import type { LedgerDatabaseErrorCode } from './ledger-database-error.ts'

/** The PostgreSQL database of a ledger, and one class for whatever goes wrong there. */

export type LedgerDatabase = DatabasePlace

/** As messages name it: `the ledger in postgres://db.contoso.example:5432/ledger`. */
export const nameOfLedger = ({ database }: LedgerDatabase): string =>
  `the ledger in ${postgresName(database)}`

/**
 * A connection that resolves every name in the ledger's schema and in no other, and is told of
 * warnings, whatever the role or the database is set to.
 *
 * @throws LedgerDatabaseError
 */
export async function connectToLedger(ledger: LedgerDatabase, waits: Waits): Promise<Client> {
  try {
    return await connect(ledger, waits)
  } catch (error) {
    if (error instanceof PasswordMissing) throw passwordMissing(ledger, error.cause)
    if (error instanceof ServerNotTrusted) throw notTrusted(ledger, error.cause)
    throw asLedgerDatabaseError(ledger, error)
  }
}

const notTrusted = (ledger: LedgerDatabase, cause: unknown) =>
  new LedgerDatabaseError(
    'LEDGER_NOT_TRUSTED',
    `${nameOfLedger(ledger)} is not to be trusted: ${reasonOf(cause)}`,
    { cause },
  )

const passwordMissing = (ledger: LedgerDatabase, cause: unknown) =>
  new LedgerDatabaseError(
    'LEDGER_FORBIDDEN',
    `${nameOfLedger(ledger)} asks for a password, and there is none in its URL or in PGPASSWORD`,
    { cause },
  )

/** What `act` comes to; what it throws as a LedgerDatabaseError. */
export async function askingLedger<T>(ledger: LedgerDatabase, act: () => Promise<T>): Promise<T> {
  try {
    return await act()
  } catch (error) {
    throw asLedgerDatabaseError(ledger, error)
  }
}

export function asLedgerDatabaseError(ledger: LedgerDatabase, error: unknown): LedgerDatabaseError {
  if (error instanceof LedgerDatabaseError) return error
  const code = codeFrom(error)
  const message = `${nameOfLedger(ledger)} cannot be used: ${ownWordsFor(error) ?? reasonOf(error)}`
  return new LedgerDatabaseError(code, message, { cause: error })
}

/**
 * By SQLSTATE (PostgreSQL, appendix A). A row of other types is a TypeError of ours; whatever else has
 * no SQLSTATE came from the connection.
 */
function codeFrom(error: unknown): LedgerDatabaseErrorCode {
  if (error instanceof TypeError) return 'LEDGER_NOT_A_LEDGER'
  if (!(error instanceof DatabaseError)) return 'LEDGER_UNREACHABLE'
  const state = error.code ?? ''
  if (/^(08|57|53300|55P03|40)/.test(state)) return 'LEDGER_UNREACHABLE'
  if (/^28|^42501$/.test(state)) return 'LEDGER_FORBIDDEN'
  if (state === '3D000') return 'LEDGER_MISSING'
  if (state === '25006') return 'LEDGER_READ_ONLY'
  if (/^(42P01|42703|3F000)$/.test(state)) return 'LEDGER_NOT_A_LEDGER'
  return 'LEDGER_REFUSED'
}

/** Where the server's words name the role. */
function ownWordsFor(error: unknown): string | undefined {
  const state = error instanceof DatabaseError ? (error.code ?? '') : ''
  if (state.startsWith('28')) {
    return 'the server refuses the role, its password, or where it comes from'
  }
  if (state === '53300') return 'the server has no connection left for the role'
  return undefined
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  // Of several addresses that were tried, each has failed with an error of its own.
  if (error instanceof AggregateError && error.message === '') return reasonOf(error.errors[0])
  return error.message
}
