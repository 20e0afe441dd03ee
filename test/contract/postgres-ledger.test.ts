import { afterAll, beforeAll } from 'vitest'
import { startPostgres, type TestPostgres } from '../support/postgres.ts'
import { createPostgresStore } from '../support/postgres-store.ts'
import { describeLedger } from './ledger.contract.ts'

let server: TestPostgres
beforeAll(async () => {
  server = await startPostgres()
})
afterAll(() => server.stop())

describeLedger('postgres ledger', () => createPostgresStore(server))
