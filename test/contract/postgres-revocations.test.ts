import { afterAll, beforeAll } from 'vitest'
import { startPostgres, type TestPostgres } from '../support/postgres.ts'
import { createPostgresStore } from '../support/postgres-store.ts'
import { describeRevocations } from './revocations.contract.ts'

let server: TestPostgres
beforeAll(async () => {
  server = await startPostgres()
})
afterAll(() => server.stop())

describeRevocations('revocations in postgres', () => createPostgresStore(server))
