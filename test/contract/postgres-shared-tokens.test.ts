import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll } from 'vitest'
import { createPostgresSharedTokens } from '../../src/token-cache/postgres-shared-tokens.ts'
import { startPostgres, type TestPostgres } from '../support/postgres.ts'
import { createTestSessions, testChannel } from '../support/postgres-session.ts'
import { describeSharedTokens } from './shared-tokens.contract.ts'

let server: TestPostgres
beforeAll(async () => {
  server = await startPostgres()
})
afterAll(() => server.stop())

/** Long beside what a busy machine may take between two statements. */
const leaseMs = 1500

describeSharedTokens('shared tokens in PostgreSQL', async () => {
  const sessions = await createTestSessions(server)
  return {
    open: () =>
      Promise.resolve(
        createPostgresSharedTokens({ session: sessions.open(), channel: testChannel, leaseMs }),
      ),
    pass: (ms) => delay(ms),
    leaseMs,
    remove: () => sessions.close(),
  }
})
