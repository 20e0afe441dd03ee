import { afterAll, beforeAll } from 'vitest'
import { createPostgresUnitLender } from '../../src/signer/postgres-unit-lender.ts'
import { lendingTerms } from '../../src/signer/unit-lender.ts'
import { startPostgres, type TestPostgres } from '../support/postgres.ts'
import { stopPostgresClock } from '../support/postgres-clock.ts'
import { createTestSessions } from '../support/postgres-session.ts'
import { describeUnitLender } from './unit-lender.contract.ts'

let server: TestPostgres
beforeAll(async () => {
  server = await startPostgres()
})
afterAll(() => server.stop())

const unitsMax = 40

describeUnitLender('a lender in PostgreSQL', async () => {
  const sessions = await createTestSessions(server)
  const clock = await stopPostgresClock(sessions.url)
  return {
    unitsMax,
    terms: lendingTerms,
    open: () => createPostgresUnitLender(sessions.open(), 'hsm vault', unitsMax, lendingTerms),
    pass: (ms) => clock.pass(ms),
    remove: () => sessions.close(),
  }
})
