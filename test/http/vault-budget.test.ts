import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { TestEmulator } from '../support/emulator.ts'
import { fullestWindow } from '../support/lane-simulation.ts'
import {
  customerAt,
  forCustomers,
  grantsForCustomers,
  worldWithCustomers,
} from '../support/many-tenants.ts'
import { expectNothingPrivate, expectProblem } from '../support/problems.ts'
import { required } from '../support/required.ts'
import {
  type Answer,
  ordersAsk,
  startServiceEmulator,
  startTestService,
  type TestService,
} from '../support/test-service.ts'

/**
 * A vault that allows fifty operations in ten seconds, a service that allows itself forty of them, and
 * callers who want three times as much at one moment.
 */

const customers = 130
const throttleScale = 0.025
const headroom = 0.02
const unitsMax = 40
const handOutsMax = 10
/** Two reads of each of the two keys. */
const readAtStart = 4

let emulator: TestEmulator
let service: TestService
let workload: string
let pipeline: string

/** By who asked, in the order in which they did. */
let noisy: readonly Answer[]
let quiet: readonly Answer[]
let handOuts: readonly Answer[]
let askedAtMs: number
const answeredAtMs = new Map<Answer, number>()

beforeAll(async () => {
  emulator = await startServiceEmulator(worldWithCustomers(customers), { throttleScale })
  service = await startTestService({
    emulator,
    configuration: (file) => ({ ...forCustomers(customers)(file), governor: { headroom } }),
    grants: grantsForCustomers,
  })
  workload = await service.callerToken('fabrikam-orders')
  pipeline = await service.callerToken('github')
  // One token buys assertions of one tenant alone.
  const jobs = await Promise.all(Array.from({ length: 30 }, () => service.callerToken('github')))
  askedAtMs = performance.now()
  const ask = async (path: string, token: string, json: object) => {
    const answer = await service.ask(`POST ${path}`, { token, json })
    answeredAtMs.set(answer, performance.now())
    return answer
  }
  const token = (token: string, index: number) =>
    ask('/v1/token', token, { ...ordersAsk, tenant: customerAt(index) })
  const asked = {
    noisy: Array.from({ length: 100 }, (_, index) => token(workload, index)),
    quiet: Array.from({ length: 5 }, (_, index) => token(pipeline, 100 + index)),
    handOuts: jobs.map((job, index) =>
      ask('/v1/assertion', job, { application: 'deploy', tenant: customerAt(index) }),
    ),
  }
  noisy = await Promise.all(asked.noisy)
  quiet = await Promise.all(asked.quiet)
  handOuts = await Promise.all(asked.handOuts)
})
afterAll(async () => {
  await service.stop()
  await emulator.stop()
})

const all = () => [...noisy, ...quiet, ...handOuts]
const served = (answers: readonly Answer[]) => answers.filter(({ status }) => status === 200)
const refused = (answers: readonly Answer[]) => answers.filter(({ status }) => status !== 200)

/** What the vault's own log says of the keys, authenticated or it would not count. */
const keyOperations = () =>
  emulator.vaultLog
    .records()
    .filter(
      ({ operationName, properties }) =>
        operationName.startsWith('Key') && properties.httpStatusCode !== 401,
    )

describe('a burst past the budget of the vault', () => {
  test('is served as far as two windows go, and the rest is refused', () => {
    expect(served(all()).length).toBeGreaterThan(2 * unitsMax - 2 * readAtStart - 5)
    expect(served(all()).length).toBeLessThanOrEqual(2 * unitsMax)
  })

  test('is refused with words of its own and a time to come again', () => {
    expect(refused(all()).length).toBeGreaterThan(30)
    for (const answer of refused(all())) {
      const retryAfterSeconds = Number(answer.headers['retry-after'])
      expectProblem(answer, {
        status: 503,
        code: 'signing_busy',
        title: 'Too much waits to be signed',
        detail: 'The key would not be free in time. Try again later.',
        retryAfterSeconds,
      })
      expect(retryAfterSeconds).toBeGreaterThan(0)
      expect(retryAfterSeconds).toBeLessThan(60)
    }
    expectNothingPrivate(required(refused(noisy)[0]), service, { token: workload })
  })

  test('is refused at once, or as soon as others have overtaken it, and not when patience ends', () => {
    const waitedMs = refused(all()).map((answer) => required(answeredAtMs.get(answer)) - askedAtMs)
    // Their patience is twelve seconds.
    expect(Math.max(...waitedMs)).toBeLessThan(11_000)
  })

  test('takes nothing from a caller who asks for little', () => {
    expect(served(quiet)).toHaveLength(quiet.length)
  })

  test('gives away a quarter of it at most', () => {
    const begun = service.entries().filter((entry) => entry.kind === 'signature.begun')
    const given = begun.filter(({ purpose }) => purpose === 'hand-out')
    expect(given).toHaveLength(served(handOuts).length)
    expect(given.length).toBeGreaterThan(0)
    expect(fullestWindow(given.map(({ atMs }) => ({ atMs, units: 1 })))).toBeLessThanOrEqual(
      handOutsMax,
    )
  })

  test('is never throttled by the vault, whose log shows no ten seconds past the budget', () => {
    const statuses = new Set(keyOperations().map(({ properties }) => properties.httpStatusCode))
    expect(statuses).toEqual(new Set([200]))
    const events = keyOperations().map(({ time }) => ({ atMs: Date.parse(time), units: 1 }))
    expect(fullestWindow(events)).toBeLessThanOrEqual(unitsMax)
    expect(fullestWindow(events)).toBeGreaterThan(unitsMax / 2)
  })

  test('leaves nothing begun of what was refused: a line for the first ones, a count for the rest', async () => {
    await service.service.turnedAway.roll('every')
    const entries = service.entries()
    const own = refused(all()).flatMap(({ headers }) =>
      entries.filter(
        (entry) => 'attempt' in entry && entry.attempt === headers['countersign-attempt'],
      ),
    )
    const lines = { kind: 'request.failed', code: 'GOVERNOR_BUDGET_SPENT' }
    expect(own).toMatchObject(Array(own.length).fill(lines))
    const counted = entries
      .filter((entry) => entry.kind === 'service.turned-away')
      .filter(({ reason }) => reason === 'GOVERNOR_BUDGET_SPENT')
    // Ten of the workload, ten of the pipeline: each asks for one application.
    expect(own).toHaveLength(20)
    const rest = counted.reduce((sum, { count }) => sum + count, 0)
    expect(own.length + rest).toBe(refused(all()).length)
  })

  test('has assertions that were fresh when they were signed, not when they began to wait', () => {
    const begun = service.entries().filter((entry) => entry.kind === 'signature.begun')
    expect(begun.length).toBe(served(all()).length)
    for (const { atMs, expiresAtSeconds } of begun) {
      // Whoever waited did so for seconds.
      expect(required(expiresAtSeconds) - atMs / 1000).toBeGreaterThan(295)
    }
  })
})

describe('after the burst', () => {
  test('whoever was refused is served when it comes again as told', async () => {
    const index = noisy.findIndex(({ status }) => status !== 200)
    emulator.clock.shift(Number(required(noisy[index]).headers['retry-after']))
    const again = await service.ask('POST /v1/token', {
      token: workload,
      json: { ...ordersAsk, tenant: customerAt(index) },
    })

    expect(again.status).toBe(200)
  })
})
