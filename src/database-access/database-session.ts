import type { Client } from 'pg'
import type { Clock } from '../base/clock.ts'
import { withDeadline } from '../base/deadline.ts'
import { connect, cut, type DatabasePlace, disconnect } from './connection.ts'
import { DatabaseAccessError } from './database-access-error.ts'
import { asDatabaseAccessError } from './driver-errors.ts'

/**
 * One connection for short statements, which is made when it is first needed and again after it was
 * lost. Whoever asks could also do without: no wait is long, and after a failure of the connection all
 * are told so at once for a while.
 */
export interface DatabaseSession {
  /**
   * The rows of one statement, which is a transaction by itself. Statements run one after the other.
   *
   * @throws DatabaseAccessError
   */
  query<Row extends object>(sql: string, values: readonly unknown[]): Promise<readonly Row[]>
  /** Calls the listener with each notification that arrives. One that was lost is never made up for. */
  listen(listener: (payload: string) => void): void
  close(): Promise<void>
}

export interface DatabaseSessionOptions {
  /** Asked for at each connecting, so that a password may change while the service runs. */
  readonly locate: () => Promise<DatabasePlace>
  readonly clock: Clock
  /** What {@link DatabaseSession.listen} hears, a plain name; absent: nothing. */
  readonly channel?: string
  /** For connecting, and for each answer; 2 s unless said. */
  readonly timeoutMs?: number
}

/** After a connection was lost or could not be made. */
const pauseMs = 2000

export function createDatabaseSession(options: DatabaseSessionOptions): DatabaseSession {
  const { locate, clock, channel, timeoutMs = 2000 } = options
  const listeners: ((payload: string) => void)[] = []
  let connecting: Promise<Client> | undefined
  let current: Client | undefined
  let failure: { readonly error: DatabaseAccessError; readonly atMs: number } | undefined

  const open = async (): Promise<Client> => {
    const waits = { connectMs: timeoutMs, lockMs: timeoutMs, answerMs: timeoutMs }
    const client = await connect(await withDeadline(timeoutMs, locate), waits)
    client.on('end', () => {
      if (client === current) connecting = undefined
    })
    client.on('notification', ({ payload = '' }) => {
      for (const listener of listeners) listener(payload)
    })
    try {
      if (channel !== undefined) await client.query(`LISTEN ${channel}`)
    } catch (error) {
      cut(client)
      throw error
    }
    current = client
    return client
  }

  const failed = (cause: unknown): DatabaseAccessError => {
    const error = asDatabaseAccessError(cause)
    failure = { error, atMs: clock.monotonicMs() }
    connecting = undefined
    return error
  }

  const connected = async (): Promise<Client> => {
    if (connecting !== undefined) return connecting
    if (failure !== undefined && clock.monotonicMs() - failure.atMs < pauseMs) throw failure.error
    connecting = open()
    // Whoever waits for it is told.
    connecting.catch(failed)
    return connecting
  }

  const ask = async <Row extends object>(sql: string, values: readonly unknown[]) => {
    const client = await connected().catch((error: unknown) => {
      throw asDatabaseAccessError(error)
    })
    try {
      const { rows } = await withDeadline(timeoutMs, () =>
        client.query<Row & Record<string, unknown>>(sql, [...values]),
      )
      return rows
    } catch (error) {
      const known = asDatabaseAccessError(error)
      // What the server said no to, the connection is still good for.
      if (!known.transient) throw known
      cut(client)
      throw failed(error)
    }
  }

  let last: Promise<unknown> = Promise.resolve()
  return {
    query: <Row extends object>(sql: string, values: readonly unknown[]) => {
      const answer = last.then(() => ask<Row>(sql, values))
      last = answer.catch(() => undefined)
      return answer
    },
    listen: (listener) => {
      listeners.push(listener)
    },
    close: async () => {
      const client = await connecting?.catch(() => undefined)
      failure = { error: new DatabaseAccessError('DATABASE_UNREACHABLE'), atMs: Infinity }
      if (client !== undefined) await disconnect(client)
    },
  }
}
