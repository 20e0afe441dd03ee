import { afterAll, beforeAll, expect, test } from 'vitest'
import { createPostgresExportCursor } from '../../src/custody/postgres-export-cursor.ts'
import { tailOfDatabase } from '../../src/ledger/postgres-tail.ts'
import { startedEntry } from '../support/entries.ts'
import { query, startPostgres, type TestPostgres } from '../support/postgres.ts'
import { createTestSessions } from '../support/postgres-session.ts'
import { openLedgerAt } from '../support/postgres-store.ts'
import { describeExportCursor } from './export-cursor.contract.ts'

let server: TestPostgres
beforeAll(async () => {
  server = await startPostgres()
})
afterAll(() => server.stop())

describeExportCursor('a cursor in PostgreSQL', async () => {
  const sessions = await createTestSessions(server)
  return {
    open: (destination) =>
      Promise.resolve(createPostgresExportCursor(sessions.open(), destination)),
    remove: () => sessions.close(),
  }
})

const linkAt = (sequence: number) => ({ sequence, hash: Buffer.alloc(32, sequence) })

test('one replica at a time has the turn, and another one gets it when that one is gone', async () => {
  const sessions = await createTestSessions(server)
  const [one, other] = ['first', 'second'].map(() =>
    createPostgresExportCursor(sessions.open(), 'a'),
  )
  if (one === undefined || other === undefined) throw new TypeError('two were made')
  expect((await one.take())?.sequence).toBe(0)
  expect(await other.take()).toBeUndefined()
  expect(await other.advance(linkAt(1))).toBe(false)
  await other.release()
  expect(await other.take()).toBeUndefined()
  expect(await one.advance(linkAt(2))).toBe(true)
  await query(sessions.url, `UPDATE countersign.export_cursor SET ends_at = now() - interval '1 s'`)
  expect(await other.take()).toEqual(linkAt(2))
  expect(await one.advance(linkAt(3))).toBe(false)
  expect(await one.take()).toBeUndefined()
  await sessions.close()
})

test('the entries of a shared ledger are read from a place on, in order', async () => {
  const sessions = await createTestSessions(server)
  const ledger = await openLedgerAt(sessions.url)
  await ledger.append(['a', 'b', 'c', 'd'].map(startedEntry))
  const tail = tailOfDatabase(sessions.open())
  expect((await tail.rowsFrom(2, 2)).map(({ sequence }) => sequence)).toEqual([2, 3])
  expect((await tail.rowsFrom(4, 10)).map(({ sequence }) => sequence)).toEqual([4])
  expect(await tail.rowsFrom(5, 10)).toEqual([])
  await ledger.close()
  await sessions.close()
})
