import { systemClock } from '../../src/base/clock.ts'
import {
  createDatabaseSession,
  type DatabaseSession,
} from '../../src/database-access/database-session.ts'
import { prepareLedger } from '../../src/ledger/prepare-ledger.ts'
import type { TestPostgres } from './postgres.ts'
import { ledgerAt } from './postgres-store.ts'

export const testChannel = 'countersign_shared'

/** As one more replica opens it; the test closes it. */
export const sessionAt = (url: string, timeoutMs = 10_000): DatabaseSession =>
  createDatabaseSession({
    locate: () => Promise.resolve(ledgerAt(url)),
    clock: systemClock,
    channel: testChannel,
    timeoutMs,
  })

/** The sessions of one test, on a database of its own with all tables. */
export interface TestSessions {
  readonly url: string
  open(): DatabaseSession
  close(): Promise<void>
}

export async function createTestSessions(server: TestPostgres): Promise<TestSessions> {
  const url = await server.createDatabase()
  await prepareLedger(ledgerAt(url))
  const sessions: DatabaseSession[] = []
  return {
    url,
    open: () => {
      const session = sessionAt(url)
      sessions.push(session)
      return session
    },
    close: async () => {
      await Promise.all(sessions.map((session) => session.close()))
    },
  }
}
