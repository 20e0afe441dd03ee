import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createBatches } from '../../../src/database-access/batches.ts'
import {
  createDatabaseSession,
  type DatabaseSession,
} from '../../../src/database-access/database-session.ts'
import { prepareLedger } from '../../../src/ledger/prepare-ledger.ts'
import { fixedClock } from '../../support/fixed-clock.ts'
import { query, startPostgres, type TestPostgres, urlWith } from '../../support/postgres.ts'
import { ledgerAt } from '../../support/postgres-store.ts'

let server: TestPostgres
let url: string
const clock = fixedClock(1_790_000_000)
const sessions: DatabaseSession[] = []
beforeAll(async () => {
  server = await startPostgres()
})
beforeEach(async () => {
  url = await server.createDatabase()
  await prepareLedger(ledgerAt(url))
})
afterEach(async () => {
  await Promise.all(sessions.splice(0).map((session) => session.close()))
})
afterAll(() => server.stop())

function sessionAt(locate: () => string, timeoutMs = 5000): DatabaseSession {
  const session = createDatabaseSession({
    locate: () => Promise.resolve(ledgerAt(locate())),
    clock,
    channel: 'heard',
    timeoutMs,
  })
  sessions.push(session)
  return session
}

const one = (session: DatabaseSession) => session.query<{ one: number }>('SELECT 1 AS one', [])

describe('a session with the database', () => {
  test('goes on after a statement that the database refused', async () => {
    const session = sessionAt(() => url)
    await expect(session.query('SELECT nonsense', [])).rejects.toMatchObject({
      name: 'DatabaseAccessError',
      code: 'DATABASE_REFUSED',
      message: 'DATABASE_REFUSED',
    })
    expect(await one(session)).toEqual([{ one: 1 }])
  })

  test('does not wait for an answer any longer than it was told, nor do those behind it', async () => {
    const session = sessionAt(() => url, 200)
    await one(session)
    const slow = session.query('SELECT pg_sleep(20)', [])
    const behind = one(session)
    await expect(slow).rejects.toMatchObject({ code: 'DATABASE_UNREACHABLE' })
    await expect(behind).rejects.toMatchObject({ code: 'DATABASE_UNREACHABLE' })
  })

  test('connects again after a pause, where the database then is', async () => {
    let at = urlWith(url, { port: '1' })
    const session = sessionAt(() => at)
    await expect(one(session)).rejects.toMatchObject({ code: 'DATABASE_UNREACHABLE' })
    at = url
    clock.advance(1.9)
    await expect(one(session)).rejects.toMatchObject({ code: 'DATABASE_UNREACHABLE' })
    clock.advance(0.2)
    expect(await one(session)).toEqual([{ one: 1 }])
  })

  test('says that the role is refused, and that waiting would not help', async () => {
    const session = sessionAt(() => urlWith(url, { password: 'wrong' }))
    const refusal = { code: 'DATABASE_FORBIDDEN', transient: false }
    await expect(one(session)).rejects.toMatchObject(refusal)
    const without = sessionAt(() => urlWith(url, { password: '' }))
    await expect(one(without)).rejects.toMatchObject(refusal)
  })

  test('hears what is said while nobody asks, again after the connection was lost too', async () => {
    const session = sessionAt(() => url)
    const heard: string[] = []
    session.listen((payload) => heard.push(payload))
    await one(session)
    await query(url, "NOTIFY heard, 'first'; NOTIFY other, 'for others'")
    await expect.poll(() => heard).toEqual(['first'])
    await query(
      url,
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'countersign'",
    )
    const connectedAgain = async () => {
      clock.advance(3)
      return one(session).catch(() => undefined)
    }
    await expect.poll(connectedAgain).toEqual([{ one: 1 }])
    await query(url, "NOTIFY heard, 'second'")
    await expect.poll(() => heard).toEqual(['first', 'second'])
  })

  test('is over when it is closed', async () => {
    const session = sessionAt(() => url)
    await one(session)
    await session.close()
    await expect(one(session)).rejects.toMatchObject({ code: 'DATABASE_UNREACHABLE' })
  })
})

describe('batches', () => {
  test('hold what is asked for at one moment, and what gathers meanwhile', async () => {
    const asked: (readonly number[])[] = []
    const ask = createBatches(3, async (items: readonly number[]) => {
      asked.push(items)
      await delay(5)
      return items.map((item) => item * 2)
    })
    const first = Promise.all([1, 2].map(ask))
    await expect.poll(() => asked.length).toBe(1)
    const later = Promise.all([3, 4, 5, 6].map(ask))
    expect(await first).toEqual([2, 4])
    expect(await later).toEqual([6, 8, 10, 12])
    expect(asked).toEqual([[1, 2], [3, 4, 5], [6]])
    expect(await ask(7)).toBe(14)
  })

  test('fail together, and do not keep the next one from being asked', async () => {
    let isAway = true
    const ask = createBatches(10, (items: readonly number[]) =>
      isAway ? Promise.reject(new Error('away')) : Promise.resolve(items),
    )
    const outcomes = await Promise.allSettled([1, 2].map(ask))
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
    isAway = false
    expect(await ask(3)).toBe(3)
  })
})
