import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import type { TestEmulator } from '../support/emulator.ts'
import { startPostgres, type TestPostgres } from '../support/postgres.ts'
import { verifiedEntriesAt } from '../support/postgres-store.ts'
import { serveFrom, type Served } from '../support/served.ts'
import { startServiceEmulator } from '../support/test-service.ts'
import { tokenStatus } from '../support/token-status.ts'

/** Replicas of `countersign serve` that share a ledger in PostgreSQL. */

let emulator: TestEmulator
let server: TestPostgres
let served: Served[] = []
beforeAll(async () => {
  ;[emulator, server] = await Promise.all([startServiceEmulator(), startPostgres()])
})
afterEach(async () => {
  await Promise.all(served.map((one) => one.remove()))
  served = []
})
afterAll(() => Promise.all([emulator.stop(), server.stop()]))

function serve(url: string): Served {
  const configuration = { configuration: withLedgerAt(url) }
  const started = serveFrom(emulator, configuration)
  served.push(started)
  return started
}

const withLedgerAt =
  (url: string) =>
  <File extends object>(file: File) => ({ ...file, ledger: { postgres: url } })

const ask = async (service: Served) => tokenStatus(emulator, await service.origin())

const isReady = async (service: Served) =>
  (await fetch(`${await service.origin()}/readyz`)).status === 200

test('replicas write one chain, refuse while the database is down, and go on by themselves', async () => {
  const url = await server.createDatabase()
  const replicas = [serve(url), serve(url)]
  await Promise.all(replicas.map((replica) => replica.said('ready')))
  expect(await Promise.all(replicas.map(ask))).toEqual([200, 200])

  await server.kill()
  await expect.poll(() => Promise.all(replicas.map(isReady))).toEqual([false, false])
  expect(await Promise.all(replicas.map(ask))).toEqual([503, 503])

  await server.start()
  await expect.poll(() => Promise.all(replicas.map(isReady))).toEqual([true, true])
  expect(await Promise.all(replicas.map(ask))).toEqual([200, 200])

  for (const replica of replicas) replica.signal('SIGTERM')
  expect(await Promise.all(replicas.map((replica) => replica.ended))).toEqual([0, 0])
  const kinds = (await verifiedEntriesAt(url)).map(({ kind }) => kind)
  const count = (kind: string) => kinds.filter((one) => one === kind).length
  expect([count('service.started'), count('token.issued'), count('service.stopped')]).toEqual([
    2, 4, 2,
  ])
})

test('a database that cannot be used ends the start, and the log says why without the password', async () => {
  await server.configure({ fsync: 'off' })
  const url = await server.createDatabase()
  const service = serve(url)
  try {
    expect(await service.ended).toBe(1)
  } finally {
    await server.configure({ fsync: 'on' })
  }
  expect(service.log.at(-1)).toMatchObject({
    msg: 'the service cannot run',
    err: { type: 'LedgerDatabaseError', code: 'LEDGER_NOT_DURABLE' },
  })
  expect(JSON.stringify(service.log)).not.toContain(new URL(url).password)
})
