import { afterAll, beforeAll } from 'vitest'
import { createPostgresDataKeyStore } from '../../src/sealing/postgres-data-key-store.ts'
import { startPostgres, type TestPostgres } from '../support/postgres.ts'
import { createTestSessions } from '../support/postgres-session.ts'
import { describeDataKeyStore } from './data-key-store.contract.ts'

let server: TestPostgres
beforeAll(async () => {
  server = await startPostgres()
})
afterAll(() => server.stop())

describeDataKeyStore('data keys in PostgreSQL', async () => {
  const sessions = await createTestSessions(server)
  return {
    open: () => Promise.resolve(createPostgresDataKeyStore(sessions.open())),
    remove: () => sessions.close(),
  }
})
