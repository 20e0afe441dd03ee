import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { createPostgresHeadTurns } from '../../../src/custody/postgres-head-turns.ts'
import type { DatabaseSession } from '../../../src/database-access/database-session.ts'
import { chainedRows, startedEntry } from '../../support/entries.ts'
import { query, startPostgres, type TestPostgres } from '../../support/postgres.ts'
import { sessionAt } from '../../support/postgres-session.ts'
import { openLedgerAt } from '../../support/postgres-store.ts'
import { required } from '../../support/required.ts'

let server: TestPostgres
let url: string
let sessions: DatabaseSession[]
beforeAll(async () => {
  server = await startPostgres()
})
afterAll(() => server.stop())
beforeEach(async () => {
  url = await server.createDatabase()
  sessions = []
  await (await openLedgerAt(url)).close()
})
afterEach(() => Promise.all(sessions.map((session) => session.close())))

const replica = (schedule = { everySeconds: 60, everyEntries: 3 }) => {
  const session = sessionAt(url)
  sessions.push(session)
  return createPostgresHeadTurns(session, schedule)
}

async function append(...names: readonly string[]): Promise<void> {
  const ledger = await openLedgerAt(url)
  await ledger.append(names.map(startedEntry))
  await ledger.close()
}

test('nobody has a turn before there is an entry', async () => {
  expect(await replica().take('due')).toBeUndefined()
  expect(await replica().take('last')).toBeUndefined()
})

test('one replica at a time has it, and is told what the ledger holds', async () => {
  await append('1', '2')
  const replicas = Array.from({ length: 8 }, () => replica())
  const taken = await Promise.all(replicas.map((one) => one.take('due')))
  const rows = chainedRows([startedEntry('1'), startedEntry('2')])
  const ends = taken.filter((end) => end !== undefined)
  expect(ends).toHaveLength(1)
  expect(ends[0]?.ledger).toBe(Buffer.from(required(rows[0]).hash).toString('base64url'))
  expect(ends[0]?.tip).toMatchObject({ sequence: 2, hash: Buffer.from(required(rows[1]).hash) })
})

test('no head is signed for what begins with another entry than it had', async () => {
  await append('1', '2')
  await query(url, 'DELETE FROM countersign.entry WHERE sequence = 1')
  await expect(replica().take('due')).rejects.toMatchObject({ code: 'LEDGER_REWOUND' })
})

test('it comes again when enough entries have, or their time has, whoever signed the last one', async () => {
  await append('1')
  const [one, other] = [replica(), replica()]
  expect(await one.take('due')).toBeDefined()
  await one.end(1)
  expect(await other.take('due')).toBeUndefined()
  await append('2', '3', '4')
  expect((await other.take('due'))?.tip.sequence).toBe(4)
  await other.end(4)
  expect(await one.take('due')).toBeUndefined()
  await query(url, `UPDATE countersign.head_turn SET signed_at = now() - interval '61 seconds'`)
  expect(await one.take('due')).toBeDefined()
})

test('the last one of a run needs no time to have passed', async () => {
  await append('1')
  const one = replica()
  await one.take('due')
  await one.end(1)
  expect(await one.take('last')).toBeDefined()
})

test('a turn without a head comes again at once, and one of a replica that has died ends', async () => {
  await append('1')
  const [one, other] = [replica(), replica()]
  await one.take('due')
  await other.end(1)
  expect(await other.take('due')).toBeUndefined()
  await one.end(undefined)
  expect(await other.take('due')).toBeDefined()
  await query(url, `UPDATE countersign.head_turn SET ends_at = now() - interval '1 second'`)
  expect(await one.take('due')).toBeDefined()
})
