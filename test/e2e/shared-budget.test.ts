import { Agent, request } from 'undici'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { mintOrderSchema } from '../../src/emulator/issuers/mint-order.ts'
import type { TestEmulator } from '../support/emulator.ts'
import { signing, strike } from '../support/faults.ts'
import { fullestWindow, jainIndex } from '../support/lane-simulation.ts'
import {
  customerAt,
  forCustomers,
  grantsForCustomers,
  worldWithCustomers,
} from '../support/many-tenants.ts'
import { query, startPostgres, type TestPostgres } from '../support/postgres.ts'
import { verifiedEntriesAt } from '../support/postgres-store.ts'
import { required } from '../support/required.ts'
import { serveFrom, type Served } from '../support/served.ts'
import { cast, type ConfigurationFile, startServiceEmulator } from '../support/test-service.ts'

/**
 * Three replicas of `countersign serve` on one PostgreSQL, and a vault that allows a hundred operations
 * in ten seconds, of which they allow themselves eighty, together.
 */

const customers = 1500
const throttleScale = 0.05
const headroom = 0.04
const unitsMax = 80

let emulator: TestEmulator
let server: TestPostgres
let url: string
let callerToken: string
let replicas: readonly Served[] = []
const agent = new Agent({ connections: 300, pipelining: 1 })

beforeAll(async () => {
  ;[emulator, server] = await Promise.all([
    startServiceEmulator(worldWithCustomers(customers), { throttleScale }),
    startPostgres(),
  ])
  callerToken = await emulator.token('fabrikam-orders', cast.publicUrl)
  url = await server.createDatabase()
  replicas = Array.from({ length: 3 }, () =>
    serveFrom(emulator, { configuration, grants: grantsForCustomers }),
  )
  await Promise.all(replicas.map((one) => one.said('ready')))
})
afterAll(async () => {
  await Promise.all(replicas.map((one) => one.remove()))
  await agent.close()
  await Promise.all([emulator.stop(), server.stop()])
})

const configuration = (file: ConfigurationFile): ConfigurationFile => ({
  ...forCustomers(customers)(file),
  ledger: { postgres: url },
  governor: { headroom },
})

interface Answer {
  readonly status: number
  readonly code: string | undefined
  readonly retryAfterSeconds: number
  readonly tookMs: number
}

/** A token of a customer that nobody has asked for yet costs one signature. */
async function ask(replica: Served, customer: number, token = callerToken): Promise<Answer> {
  const startedMs = performance.now()
  const { statusCode, headers, body } = await request(`${await replica.origin()}/v1/token`, {
    dispatcher: agent,
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
    body: JSON.stringify({
      application: 'events',
      tenant: customerAt(customer),
      scope: cast.orders,
    }),
  })
  const { code } = (await body.json()) as { code?: string }
  return {
    status: statusCode,
    code,
    retryAfterSeconds: Number(headers['retry-after']),
    tookMs: performance.now() - startedMs,
  }
}

let asked = 0
/** Each for another customer, in turns over the replicas. */
const askAll = (of: readonly Served[], count: number, token?: string) =>
  Promise.all(
    Array.from({ length: count }, (_, i) => {
      asked += 1
      return ask(required(of[i % of.length]), asked, token)
    }),
  )

/** Of another subject: another caller. */
const pipelineToken = (sub: string) =>
  required(emulator.issuers.find('github')).mint(
    mintOrderSchema.parse({ audience: cast.publicUrl, claims: { sub } }),
  )

/** How many wait for a signature. */
async function waiting(replica: Served): Promise<number> {
  const { body } = await request(`${await replica.origin()}/metrics`, { dispatcher: agent })
  const lines = (await body.text()).matchAll(/^countersign_sign_queue_length\{.*\} (\d+)$/gm)
  return Array.from(lines, ([, count]) => Number(count)).reduce((sum, count) => sum + count, 0)
}

const served = (answers: readonly Answer[]) => answers.filter(({ status }) => status === 200)

/** What the vault's own log says of its keys, authenticated or it would not count. */
const keyOperations = () =>
  emulator.vaultLog
    .records()
    .filter(({ operationName }) => operationName.startsWith('Key'))
    .map(({ time, properties }) => ({
      atMs: Date.parse(time),
      units: 1,
      status: properties.httpStatusCode,
    }))
    .filter(({ status }) => status !== 401)

afterEach(() => {
  emulator.faults.clear()
  const operations = keyOperations()
  expect(operations.filter(({ status }) => status === 429)).toEqual([])
  expect(fullestWindow(operations)).toBeLessThanOrEqual(unitsMax)
})

/** All that begins does so within the patience of those who ask: 12 s, and a window lasts ten. */
describe('three replicas on one vault, whose log shows no ten seconds past their budget,', () => {
  test('use nearly all of it when they are asked for more, and refuse the rest with a time', async () => {
    const answers = await askAll(replicas, 360)
    const count = served(answers).length
    // One window, less what the start has spent, and what of the next one begins within patience.
    expect(count).toBeGreaterThan(unitsMax * 1.25)
    const refused = answers.filter(({ status }) => status !== 200)
    for (const { status, code, retryAfterSeconds } of refused) {
      expect([status, code]).toEqual([503, 'signing_busy'])
      expect(retryAfterSeconds).toBeGreaterThan(0)
      expect(retryAfterSeconds).toBeLessThan(120)
    }
    // Nobody had it all.
    const byReplica = [0, 1, 2].map((n) => served(answers.filter((_, i) => i % 3 === n)).length)
    expect(Math.min(...byReplica)).toBeGreaterThan(unitsMax / 6)
  })

  test('give callers who want unequally much the same', async () => {
    const wanted = [1, 2, 3, 4, 5, 6].map((number) => 21 * number)
    const tokens = await Promise.all(wanted.map((count) => pipelineToken(`repo:contoso/${count}`)))
    // Who comes while there is enough may have all of it: fairness begins when somebody has to wait.
    const before = askAll(replicas, unitsMax * 2)
    for (const replica of replicas) {
      await expect.poll(() => waiting(replica)).toBeGreaterThan(0)
    }
    // Whoever wants most comes first, everywhere.
    const answers = await Promise.all(
      wanted
        .map((count, index) => ({ count, token: required(tokens[index]) }))
        .toReversed()
        .map(({ count, token }) => askAll(replicas, count, token)),
    )
    expect(jainIndex(wanted)).toBeLessThan(0.85)
    const shares = answers.map((one) => served(one).length)
    expect(jainIndex(shares), String(shares)).toBeGreaterThanOrEqual(0.95)
    expect(Math.min(...shares)).toBeGreaterThan(unitsMax / 12)
    await before
  })

  test('leave all of it to the one that needs it', async () => {
    const answers = await askAll(replicas.slice(0, 1), 150)
    expect(served(answers).length).toBeGreaterThan(unitsMax - 8)
  })

  test('go on when one of them is killed with units out, which count for half a minute at most', async () => {
    const [victim, ...others] = replicas
    const before = keyOperations().length
    strike(emulator, { ...signing, kind: 'delay', delayMs: 3000, times: 20 })
    const lost = askAll([required(victim)], 20).catch(() => undefined)
    await expect.poll(() => keyOperations().length - before).toBeGreaterThan(10)
    required(victim).signal('SIGKILL')
    await lost
    emulator.faults.clear()
    expect(served(await askAll(others, 150)).length).toBeGreaterThan(unitsMax / 2)
    const [row] = await query(
      url,
      'SELECT extract(epoch FROM max(counts_until) - now())::float8 AS seconds FROM countersign.unit_lease',
    )
    expect(Number(required(row)['seconds'])).toBeLessThan(30)
  })

  test('refuse while the database is away, and go on by themselves when it is back', async () => {
    const left = replicas.slice(1)
    await server.kill()
    for (const { status, retryAfterSeconds } of await askAll(left, 6)) {
      expect(status).toBe(503)
      expect(retryAfterSeconds).toBeGreaterThan(0)
    }
    await server.start()
    await expect
      .poll(async () => served(await askAll(left, 2)).length, { timeout: 40_000, interval: 1000 })
      .toBe(2)
    expect(served(await askAll(left, 100)).length).toBeGreaterThan(unitsMax / 2)
    await verifiedEntriesAt(url)
  }, 180_000)
})
