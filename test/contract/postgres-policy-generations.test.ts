import { afterAll, beforeAll } from 'vitest'
import { createPostgresPolicyGenerations } from '../../src/reload/postgres-policy-generations.ts'
import { startPostgres, type TestPostgres } from '../support/postgres.ts'
import { createTestSessions, testChannel } from '../support/postgres-session.ts'
import { describePolicyGenerations } from './policy-generations.contract.ts'

let server: TestPostgres
beforeAll(async () => {
  server = await startPostgres()
})
afterAll(() => server.stop())

describePolicyGenerations('generations in PostgreSQL', async (kept) => {
  const sessions = await createTestSessions(server)
  return {
    open: async () => {
      const session = sessions.open()
      const store = createPostgresPolicyGenerations({ session, channel: testChannel, kept })
      // Listens from its first statement on.
      await store.read(1)
      return store
    },
    remove: () => sessions.close(),
  }
})
