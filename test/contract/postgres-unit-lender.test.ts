import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll } from 'vitest'
import { createPostgresUnitLender } from '../../src/signer/postgres-unit-lender.ts'
import { startPostgres, type TestPostgres } from '../support/postgres.ts'
import { createTestSessions } from '../support/postgres-session.ts'
import { describeUnitLender } from './unit-lender.contract.ts'

let server: TestPostgres
beforeAll(async () => {
  server = await startPostgres()
})
afterAll(() => server.stop())

/** Long beside what a busy machine may take between two statements. */
const terms = { usableMs: 1000, askedWithinMs: 2400, windowMs: 1600, placeMs: 1000 }
const unitsMax = 40

describeUnitLender('a lender in PostgreSQL', async () => {
  const sessions = await createTestSessions(server)
  return {
    unitsMax,
    terms,
    open: () => createPostgresUnitLender(sessions.open(), 'hsm vault', unitsMax, terms),
    pass: (ms) => delay(ms),
    remove: () => sessions.close(),
  }
})
