import { afterAll, beforeAll } from 'vitest'
import { createPostgresSharedTokens } from '../../src/token-cache/postgres-shared-tokens.ts'
import { startPostgres, type TestPostgres } from '../support/postgres.ts'
import { stopPostgresClock } from '../support/postgres-clock.ts'
import { createTestSessions, testChannel } from '../support/postgres-session.ts'
import { describeSharedTokens } from './shared-tokens.contract.ts'

let server: TestPostgres
beforeAll(async () => {
  server = await startPostgres()
})
afterAll(() => server.stop())

const leaseMs = 8000

describeSharedTokens('shared tokens in PostgreSQL', async () => {
  const sessions = await createTestSessions(server)
  const clock = await stopPostgresClock(sessions.url)
  return {
    open: () =>
      Promise.resolve(
        createPostgresSharedTokens({ session: sessions.open(), channel: testChannel, leaseMs }),
      ),
    pass: (ms) => clock.pass(ms),
    leaseMs,
    remove: () => sessions.close(),
  }
})
