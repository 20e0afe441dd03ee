import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { systemClock } from '../../../src/base/clock.ts'
import { createSeededRandom } from '../../../src/emulator/random.ts'
import { createPostgresUnitLender } from '../../../src/signer/postgres-unit-lender.ts'
import { fullestWindow } from '../../support/lane-simulation.ts'
import {
  createLeasingReplica,
  delay,
  type LeasingReplica,
  type VaultAsked,
} from '../../support/leasing-replicas.ts'
import { startPostgres, type TestPostgres } from '../../support/postgres.ts'
import { createTestSessions, type TestSessions } from '../../support/postgres-session.ts'
import { required } from '../../support/required.ts'

/** Replicas that lease from the real database, in windows of a second instead of ten. */

const unitsMax = 40
const handOutsMax = 10
const windowMs = 1000
const terms = { usableMs: 300, askedWithinMs: 2000, windowMs: windowMs + 10, placeMs: 500 }

let server: TestPostgres
let sessions: TestSessions
let vaultLog: VaultAsked[]
let replicas: readonly LeasingReplica[]
beforeAll(async () => {
  server = await startPostgres()
})
afterAll(() => server.stop())
beforeEach(async () => {
  sessions = await createTestSessions(server)
  vaultLog = []
  replicas = Array.from({ length: 4 }, () => {
    const session = sessions.open()
    return createLeasingReplica({
      unitsMax,
      terms,
      clock: systemClock,
      vaultLog,
      lenderOf: (name, ofIt) => createPostgresUnitLender(session, name, ofIt, terms),
    })
  })
})
afterEach(async () => {
  expect(fullestWindow(vaultLog, windowMs)).toBeLessThanOrEqual(unitsMax)
  const given = vaultLog.filter(({ purpose }) => purpose === 'hand-out')
  expect(fullestWindow(given, windowMs)).toBeLessThanOrEqual(handOutsMax)
  await sessions.close()
})

const unitsSince = (atMs: number) =>
  vaultLog.filter((one) => one.atMs >= atMs).reduce((all, { units }) => all + units, 0)

/** One who asks again and again, for this and that, and does not wait long between. */
async function askOn(replica: LeasingReplica, seed: number, untilMs: number): Promise<void> {
  const random = createSeededRandom(seed)
  while (systemClock.monotonicMs() < untilMs) {
    await replica.ask({
      units: random.next() < 0.2 ? 4 : 1,
      purpose: random.next() < 0.2 ? 'hand-out' : 'exchange',
      patienceMs: 1500,
      beforeMs: random.next() * 10,
      toVaultMs: random.next() < 0.1 ? 200 : random.next() * 10,
      fromVaultMs: random.next() * 30,
    })
    await delay(random.next() * 20)
  }
}

test('four at once use the budget, never more of it, and all of it when one has been killed', async () => {
  const startMs = systemClock.monotonicMs()
  const endMs = startMs + 7000
  const victim = required(replicas[0])
  const asking = replicas
    .flatMap((replica) => Array.from({ length: 8 }, () => replica))
    .map((replica, seed) => [replica, askOn(replica, seed, endMs)] as const)
  await delay(1500)
  victim.kill()
  // Whatever it held is free when nothing that it may have sent can be on its way.
  await delay(terms.askedWithinMs + terms.windowMs)
  const freeMs = systemClock.monotonicMs()
  await Promise.all(asking.filter(([replica]) => replica !== victim).map(([, done]) => done))
  const windows = (endMs - freeMs) / windowMs
  expect(windows).toBeGreaterThan(1)
  expect(unitsSince(freeMs)).toBeGreaterThan((unitsMax * windows) / 2)
})

test('one that is busy beside idle ones has more than an equal part', async () => {
  const startMs = systemClock.monotonicMs()
  await Promise.all(replicas.map((replica) => replica.ask()))
  const busy = required(replicas[0])
  await Promise.all(Array.from({ length: 16 }, (_, seed) => askOn(busy, seed, startMs + 5000)))
  expect(unitsSince(startMs) / 5).toBeGreaterThan(unitsMax / 2)
})

test('no unit is forgotten when the database is gone and comes back', async () => {
  const endMs = systemClock.monotonicMs() + 9000
  const asking = replicas.flatMap((replica) =>
    Array.from({ length: 4 }, (_, seed) => askOn(replica, seed, endMs)),
  )
  await delay(1000)
  await server.kill()
  await delay(500)
  await server.start()
  const backMs = systemClock.monotonicMs()
  await Promise.all(asking)
  expect(unitsSince(backMs)).toBeGreaterThan(unitsMax)
})
