import { TLSSocket } from 'node:tls'
import { Client } from 'pg'
import { settlesWithin } from '../base/deadline.ts'
import type { PostgresDatabase } from '../base/postgres-url.ts'

/** A connection to PostgreSQL with a limit on every wait. What goes wrong is told in the driver's errors. */

export interface DatabasePlace {
  readonly database: PostgresDatabase
  /** Of its own, so that the database may hold other things besides; fits `schemaNameRule`. */
  readonly schema: string
}

export interface Waits {
  /** For a connection that can be used. */
  readonly connectMs: number
  /** For a lock that somebody else holds. */
  readonly lockMs: number
  /** For one answer; also how long the server lets a transaction of ours stand idle before it gives up on us. */
  readonly answerMs: number
}

/** The server asks for a password, and there is none in the URL or in `PGPASSWORD`. */
export class PasswordMissing extends Error {
  override readonly name = 'PasswordMissing'
}

/** TLS is asked for, and the server has none, or a certificate that does not verify. */
export class ServerNotTrusted extends Error {
  override readonly name = 'ServerNotTrusted'
}

/** Peers that vanish without a word are noticed, although nothing is asked. */
const keepAliveAfterMs = 10_000

/**
 * A connection that resolves every name in the schema and in no other, is told of warnings, and sees in each
 * statement what was committed before it, whatever the role or the database is set to.
 *
 * @throws PasswordMissing | ServerNotTrusted, or whatever the driver throws
 */
export async function connect(
  { database: at, schema }: DatabasePlace,
  waits: Waits,
): Promise<Client> {
  const { host, port, user, password, database, transport } = at
  const client = new Client({
    host,
    port,
    user,
    password: password?.reveal(),
    database,
    ssl: transport === 'tls',
    options: `-c search_path=${schema} -c client_min_messages=warning -c default_transaction_isolation=read\\ committed`,
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
  const firstWords = new Set<string>()
  if (transport === 'tls') {
    client.connection.stream.once('data', (words: Buffer) => firstWords.add(words.toString()))
  }
  try {
    await client.connect()
    return client
  } catch (cause) {
    cut(client)
    if (firstWords.has(noTls) || isRefusedCertificate(client.connection.stream)) {
      throw new ServerNotTrusted('the server is not trusted', { cause })
    }
    throw asked.size > 0 && !client.password ? new PasswordMissing('no password', { cause }) : cause
  }
}

/** What the server says to whoever asks for TLS when it has none (PostgreSQL, message formats, SSLRequest). */
const noTls = 'N'

/** Its type leaves out that there is no error unless verification has failed. */
const isRefusedCertificate = (stream: unknown) =>
  stream instanceof TLSSocket && Boolean(stream.authorizationError)

/** What the server sends when the role has to prove itself, in the driver's words. */
const passwordQuestions = [
  'authenticationCleartextPassword',
  'authenticationMD5Password',
  'authenticationSASL',
]

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
