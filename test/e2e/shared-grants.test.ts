import { rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { stringify } from 'yaml'
import { sha256Base64url } from '../../src/base/sha256.ts'
import type { PolicyLoaded } from '../../src/ledger/entry.ts'
import { contractFaults } from '../support/contract.ts'
import type { TestEmulator } from '../support/emulator.ts'
import { query, startPostgres, type TestPostgres } from '../support/postgres.ts'
import { verifiedEntriesAt } from '../support/postgres-store.ts'
import { required } from '../support/required.ts'
import { serveFrom, type Served } from '../support/served.ts'
import {
  type ConfigurationFile,
  defaultGrants,
  startServiceEmulator,
} from '../support/test-service.ts'
import { tokenStatus } from '../support/token-status.ts'

/** Replicas of `countersign serve`, each with a folder of grants of its own, and one policy in force. */

const orders = required(defaultGrants.find(({ grant }) => grant === 'fabrikam-orders'))

/** What no hint has told of is in force by then, and some more on a machine that is busy. */
const byTheClock = { timeout: 25_000, interval: 200 }

let emulator: TestEmulator
let server: TestPostgres
let url: string
let served: Served[] = []
beforeAll(async () => {
  ;[emulator, server] = await Promise.all([startServiceEmulator(), startPostgres()])
})
beforeEach(async () => {
  url = await server.createDatabase()
})
afterEach(async () => {
  await Promise.all(served.map((one) => one.remove()))
  served = []
})
afterAll(() => Promise.all([emulator.stop(), server.stop()]))

function serve(): Served {
  const started = serveFrom(emulator, {
    configuration: (file: ConfigurationFile) => ({ ...file, ledger: { postgres: url } }),
  })
  served.push(started)
  return started
}

async function serveReady(count: number): Promise<readonly Served[]> {
  const started = Array.from({ length: count }, serve)
  await Promise.all(started.map((one) => one.said('ready')))
  return started
}

const ordersFile = (replica: Served) =>
  join(dirname(replica.ledgerFile), 'grants', 'fabrikam-orders.yaml')

const status = async (replica: Served) => tokenStatus(emulator, await replica.origin())

const statuses = (replicas: readonly Served[]) => Promise.all(replicas.map(status))

async function readiness(replica: Served) {
  const response = await fetch(`${await replica.origin()}/readyz`)
  const { status: code, headers } = response
  const body: unknown = await response.json()
  const faults = contractFaults({
    ...{ method: 'GET', path: '/readyz', requestBody: undefined },
    ...{ status: code, headers: Object.fromEntries(headers), body },
  })
  expect(faults).toEqual([])
  return { status: code, body }
}

async function metric(replica: Served, name: string): Promise<number> {
  const text = await (await fetch(`${await replica.origin()}/metrics`)).text()
  return Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(text)?.[1])
}

const loads = async () =>
  (await verifiedEntriesAt(url)).filter(
    (entry): entry is PolicyLoaded => entry.kind === 'policy.loaded',
  )

test('what is taken away in one folder is served by no replica, and a start with an old folder does not bring it back', async () => {
  const replicas = await serveReady(3)
  const [first, second, third] = replicas
  expect(await statuses(replicas)).toEqual([200, 200, 200])
  expect((await loads()).map(({ generation }) => generation)).toEqual([1, 1, 1])

  rmSync(ordersFile(required(first)))
  await expect.poll(() => statuses(replicas), byTheClock).toEqual([403, 403, 403])
  expect(await readiness(required(first))).toMatchObject({
    status: 200,
    body: { grants: 'ok', policy: { generation: 2, state: 'newest', folder: 'in-force' } },
  })
  expect(await readiness(required(second))).toMatchObject({
    status: 200,
    body: { grants: 'degraded', policy: { generation: 2, state: 'newest', folder: 'differs' } },
  })
  expect(await metric(required(second), 'countersign_policy_generation')).toBe(2)
  expect(await metric(required(second), 'countersign_grants_folder_in_force')).toBe(0)

  required(third).signal('SIGKILL')
  await required(third).ended
  const [late] = await serveReady(1)
  expect(required(late).log).toContainEqual(
    expect.objectContaining({
      msg: 'the folder of grants is not what is in force',
      folder: 'differs',
      generation: 2,
    }),
  )
  const left = [required(first), required(second), required(late)]
  expect(await statuses(left)).toEqual([403, 403, 403])

  // The others follow, and nothing is published for that.
  for (const one of [required(second), required(late)]) rmSync(ordersFile(one))
  await expect
    .poll(
      () => Promise.all(left.map((one) => metric(one, 'countersign_grants_folder_in_force'))),
      byTheClock,
    )
    .toEqual([1, 1, 1])

  // Going back, in another folder than the one that it came from.
  writeFileSync(ordersFile(required(second)), stringify(orders))
  await expect.poll(() => statuses(left), byTheClock).toEqual([200, 200, 200])
  const written = await loads()
  expect(written.map(({ generation }) => generation)).toEqual([1, 1, 1, 2, 2, 2, 2, 3, 3, 3])
  for (const generation of [1, 2, 3]) {
    const of = written.filter((one) => one.generation === generation)
    expect(new Set(of.map(({ sha256 }) => sha256)).size).toBe(1)
  }
  expect(written.at(-1)).toMatchObject({ added: ['fabrikam-orders'], removed: [], changed: [] })
  expect(written.at(-1)?.sha256).toBe(written[0]?.sha256)
}, 120_000)

test('what no replica was told of is in force by the clock, on all', async () => {
  const replicas = await serveReady(2)
  const files = '[]'
  await query(
    url,
    `INSERT INTO countersign.policy_generation (generation, sha256, files, stored_at)
     VALUES (2, '${sha256Base64url(files)}', '${files}', now())`,
  )
  expect(await statuses(replicas)).toEqual([200, 200])
  await expect.poll(() => statuses(replicas), byTheClock).toEqual([403, 403])
  expect(await readiness(required(replicas[0]))).toMatchObject({
    body: { grants: 'degraded', policy: { generation: 2, folder: 'differs' } },
  })
}, 120_000)

test('a row that does not match its hash is refused loudly: what is in force stays, and a start ends', async () => {
  const [replica] = await serveReady(1)
  const forged = JSON.stringify([['forged.yaml', stringify({ ...orders, grant: 'forged' })]])
  await query(
    url,
    `INSERT INTO countersign.policy_generation (generation, sha256, files, stored_at)
     SELECT 2, sha256, '${forged.replaceAll("'", "''")}', now() FROM countersign.policy_generation;
     NOTIFY countersign_policy`,
  )
  const codes = () =>
    required(replica).log.map(({ err }) => (err as { code?: string } | undefined)?.code)
  await expect.poll(codes, byTheClock).toContain('POLICY_DAMAGED')
  expect(await status(required(replica))).toBe(200)
  expect(await readiness(required(replica))).toMatchObject({
    status: 200,
    body: { grants: 'degraded', policy: { generation: 1, state: 'behind', folder: 'in-force' } },
  })

  const late = serve()
  expect(await late.ended).toBe(1)
  expect(late.log.at(-1)).toMatchObject({
    msg: 'the service cannot run',
    err: { type: 'PolicyGenerationError', code: 'POLICY_DAMAGED' },
  })
  const loaded = (await loads()).map(({ generation }) => generation)
  expect(loaded).toEqual([1])
}, 120_000)
