import { Client, DatabaseError } from 'pg'
import { settlesWithin } from '../base/deadline.ts'
import { postgresName } from '../base/postgres-url.ts'
import type { PostgresDatabase } from '../base/postgres-url.ts'
import { LedgerDatabaseError } from './ledger-database-error.ts'
import type { LedgerDatabaseErrorCode } from './ledger-database-error.ts'

/**
 * The PostgreSQL database of a ledger: a connection to it with a limit on every wait, and one class
 * for whatever goes wrong there.
 */

export interface LedgerDatabase {
  readonly database: PostgresDatabase
  /** Of its own, so that the database may hold other things besides; fits `schemaNameRule`. */
  readonly schema: string
}

/** As messages name it: `the ledger in postgres://db.contoso.example:5432/ledger`. */
export const nameOfLedger = ({ database }: LedgerDatabase): string =>
  `the ledger in ${postgresName(database)}`

export interface Waits {
  /** For a connection that can be used. */
  readonly connectMs: number
  /** For a lock that somebody else holds. */
  readonly lockMs: number
  /** For one answer; also how long the server lets a transaction of ours stand idle before it gives up on us. */
  readonly answerMs: number
}

/** Peers that vanish without a word are noticed, although nothing is asked. */
const keepAliveAfterMs = 10_000

/**
 * A connection that resolves every name in the ledger's schema and in no other, and is told of
 * warnings, whatever the role or the database is set to.
 *
 * @throws LedgerDatabaseError
 */
export async function connectToLedger(ledger: LedgerDatabase, waits: Waits): Promise<Client> {
  const { host, port, user, password, database, transport } = ledger.database
  const client = new Client({
    host,
    port,
    user,
    password: password?.reveal(),
    database,
    ssl: transport === 'tls',
    options: `-c search_path=${ledger.schema} -c client_min_messages=warning`,
    application_name: 'countersign',
    connectionTimeoutMillis: waits.connectMs,
    lock_timeout: waits.lockMs,
    statement_timeout: waits.answerMs,
    query_timeout: waits.answerMs,
    idle_in_transaction_session_timeout: waits.answerMs,
    keepAlive: true,
    keepAliveInitialDelayMillis: keepAliveAfterMs,
  })
  // Without a listener, a connection that is lost while nobody asks would end the process. Whoever
  // asks next is told.
  client.on('error', () => undefined)
  const asked = new Set<string>()
  for (const question of passwordQuestions) {
    client.connection.once(question, () => asked.add(question))
  }
  try {
    await client.connect()
    return client
  } catch (error) {
    cut(client)
    throw asked.size > 0 && !client.password
      ? passwordMissing(ledger, error)
      : asLedgerDatabaseError(ledger, error)
  }
}

/** What the server sends when the role has to prove itself, in the driver's words. */
const passwordQuestions = [
  'authenticationCleartextPassword',
  'authenticationMD5Password',
  'authenticationSASL',
]

const passwordMissing = (ledger: LedgerDatabase, cause: unknown) =>
  new LedgerDatabaseError(
    'LEDGER_FORBIDDEN',
    `${nameOfLedger(ledger)} asks for a password, and there is none in its URL or in PGPASSWORD`,
    { cause },
  )

/** At once, without a word to the server, whatever is under way. */
export function cut(client: Client): void {
  client.connection.stream.destroy()
}

/** Long enough for a goodbye. */
const endTimeoutMs = 1000

/** In order, or at once when the server does not answer. */
export async function disconnect(client: Client): Promise<void> {
  if (!(await settlesWithin(client.end(), endTimeoutMs))) cut(client)
}

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
  if (/^(08|57P|53300)/.test(state)) return 'LEDGER_UNREACHABLE'
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
