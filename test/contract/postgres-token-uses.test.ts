import { afterAll, beforeAll } from 'vitest'
import { systemClock } from '../../src/base/clock.ts'
import { createPostgresTokenUses } from '../../src/token-use/postgres-token-uses.ts'
import { startPostgres, type TestPostgres } from '../support/postgres.ts'
import { createTestSessions } from '../support/postgres-session.ts'
import { describeLastingUses, describeTokenUses, tokensMax } from './token-uses.contract.ts'

let server: TestPostgres
beforeAll(async () => {
  server = await startPostgres()
})
afterAll(() => server.stop())

const createPlace = async () => {
  const sessions = await createTestSessions(server)
  const open = () =>
    Promise.resolve(createPostgresTokenUses({ session: sessions.open(), tokensMax }))
  return {
    nowSeconds: () => systemClock.nowSeconds(),
    open,
    openAgain: open,
    remove: () => sessions.close(),
  }
}

describeTokenUses('uses in PostgreSQL', createPlace)
describeLastingUses('uses in PostgreSQL', createPlace)
