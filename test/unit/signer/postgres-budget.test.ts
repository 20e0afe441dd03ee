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
const terms = { usableMs: 300, askedWithinMs: 3000, windowMs: windowMs + 10, placeMs: 500 }

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

const askedSince = (fromMs: number) => vaultLog.filter(({ atMs }) => atMs >= fromMs)
const unitsSince = (fromMs: number) => askedSince(fromMs).reduce((all, { units }) => all + units, 0)

/** One who asks again and again, for this and that, and does not wait long between. */
async function askOn(replica: LeasingReplica, seed: number, isOver: () => boolean): Promise<void> {
  const random = createSeededRandom(seed)
  while (!isOver()) {
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

/** All of them ask on, each in so many places, until what is done meanwhile is over. */
async function whileAsking(
  asking: readonly LeasingReplica[],
  places: number,
  act: () => Promise<void>,
): Promise<void> {
  let isOver = false
  const all = asking.flatMap((replica) =>
    Array.from({ length: places }, (_, seed) => askOn(replica, seed, () => isOver)),
  )
  try {
    await act()
  } finally {
    isOver = true
  }
  await Promise.all(all)
}

const underWay = () => expect.poll(() => unitsSince(0)).toBeGreaterThan(unitsMax)

/** However busy the machine is, there is a window in which it is not. */
const windowHolds = (fromMs: number) =>
  expect.poll(() => fullestWindow(askedSince(fromMs), windowMs))

test('four at once use the budget, never more of it, and all of it when one has been killed', async () => {
  const [victim, ...others] = replicas
  // Those who ask it wait for ever.
  for (let seed = 8; seed < 16; seed += 1) void askOn(required(victim), seed, () => false)
  await whileAsking(others, 8, async () => {
    await underWay()
    required(victim).kill()
    // Whatever it held is free when nothing that it may have sent can be on its way.
    await delay(terms.askedWithinMs + terms.windowMs)
    await windowHolds(systemClock.monotonicMs()).toBeGreaterThan((unitsMax * 3) / 4)
  })
})

test('one that is busy beside idle ones has more than an equal part', async () => {
  await Promise.all(replicas.map((replica) => replica.ask()))
  await whileAsking(replicas.slice(0, 1), 16, () =>
    windowHolds(systemClock.monotonicMs()).toBeGreaterThan(unitsMax / 2),
  )
})

test('no unit is forgotten when the database is gone and comes back', async () => {
  await whileAsking(replicas, 4, async () => {
    await underWay()
    await server.kill()
    await delay(500)
    await server.start()
    const backMs = systemClock.monotonicMs()
    await expect.poll(() => unitsSince(backMs)).toBeGreaterThan(unitsMax)
  })
})
