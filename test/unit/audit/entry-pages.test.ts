import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createEntryPages } from '../../../src/audit/entry-pages.ts'
import { createLedgerTurns } from '../../../src/audit/ledger-turns.ts'
import { systemClock } from '../../../src/base/clock.ts'
import { createDatabaseSession } from '../../../src/database-access/database-session.ts'
import type { Row } from '../../../src/ledger/chain.ts'
import type { Entry } from '../../../src/ledger/entry.ts'
import { type LedgerTail, tailOfFile } from '../../../src/ledger/ledger-tail.ts'
import { tailOfDatabase } from '../../../src/ledger/postgres-tail.ts'
import { verifyChain } from '../../../src/ledger/verify.ts'
import type { LedgerStore } from '../../contract/ledger.contract.ts'
import { createSqliteStore } from '../../support/ledger-store.ts'
import { createPostgresStore, ledgerAt } from '../../support/postgres-store.ts'
import { startPostgres, type TestPostgres } from '../../support/postgres.ts'

/** The subject is text that needs more than a byte for some characters. */
const entry = (n: number): Entry => ({
  kind: 'service.turned-away',
  atMs: n,
  reason: `grünes Licht – ${n}`,
  count: n,
  minuteStartMs: 0,
})
const entryCount = 450

let server: TestPostgres
beforeAll(async () => {
  server = await startPostgres()
})
afterAll(() => server.stop())

interface Place {
  readonly store: LedgerStore
  readonly tail: LedgerTail
  readonly close: () => Promise<void>
}

// eslint-disable-next-line @typescript-eslint/require-await -- a file is there at once, a database is waited for
const inFile = async (): Promise<Place> => {
  const store = createSqliteStore()
  return {
    store,
    tail: tailOfFile(store.file),
    close: async () => {
      store.remove()
      await Promise.resolve()
    },
  }
}

const inDatabase = async (): Promise<Place> => {
  const store = await createPostgresStore(server)
  const session = createDatabaseSession({
    locate: () => Promise.resolve(ledgerAt(store.url)),
    clock: systemClock,
  })
  return { store, tail: tailOfDatabase(session), close: () => session.close() }
}

describe.each([
  ['SQLite', inFile],
  ['PostgreSQL', inDatabase],
])('a ledger in %s', (_, placed) => {
  let place: Place
  beforeAll(async () => {
    place = await placed()
    const ledger = await place.store.open()
    await ledger.append(Array.from({ length: entryCount }, (_none, index) => entry(index + 1)))
    await ledger.close()
  })
  afterAll(() => place.close())

  test.each([1, 99, 100, 101, 200, 449, 450, 1000])(
    'comes whole in pages of %i, and its chain verifies',
    async (rowsMax) => {
      const pages = createEntryPages(place.tail, createLedgerTurns())
      const rows: Row[] = []
      for (;;) {
        const page = (await pages.page(rows.length, rowsMax)) ?? []
        expect(page.length).toBeLessThanOrEqual(rowsMax)
        if (page.length === 0) break
        rows.push(...page)
        // Some hundred pages of one say no more than a dozen.
        if (rowsMax === 1 && rows.length === 12) return
      }
      expect(rows).toHaveLength(entryCount)
      expect(verifyChain(rows).ok).toBe(true)
    },
  )

  test('has nothing behind its last entry, and knows no later one', async () => {
    const pages = createEntryPages(place.tail, createLedgerTurns())
    expect(await pages.page(entryCount, 10)).toEqual([])
    expect(await pages.page(entryCount + 1, 10)).toBeUndefined()
  })
})

/** Answers when it is told to. */
function heldTail() {
  const held: (() => void)[] = []
  let asked = 0
  const tail: LedgerTail = {
    rowsFrom: () => {
      asked += 1
      return new Promise((resolve) => {
        held.push(() => {
          resolve([])
        })
      })
    },
  }
  return { tail, release: () => held.shift()?.(), asked: () => asked }
}

describe('of those who read at once', () => {
  test('one has its turn, some wait, and whoever is beyond is told to come again', async () => {
    const { tail, release, asked } = heldTail()
    const pages = createEntryPages(tail, createLedgerTurns())
    const reading = Array.from({ length: 16 }, () => pages.page(0, 10))
    await expect(pages.page(0, 10)).rejects.toMatchObject({ code: 'AUDIT_BUSY' })
    await expect.poll(asked).toBe(1)
    for (let turn = 1; turn <= 16; turn += 1) {
      await expect.poll(asked).toBe(turn)
      release()
    }
    expect(await Promise.all(reading)).toEqual(Array.from({ length: 16 }, () => []))
    const next = pages.page(0, 10)
    await expect.poll(asked).toBe(17)
    release()
    expect(await next).toEqual([])
  })

  test('one that fails keeps nobody from its turn', async () => {
    let isBroken = true
    const pages = createEntryPages(
      {
        rowsFrom: () => (isBroken ? Promise.reject(new Error('gone')) : Promise.resolve([])),
      },
      createLedgerTurns(),
    )
    await expect(pages.page(0, 10)).rejects.toMatchObject({ code: 'LEDGER_UNREADABLE' })
    isBroken = false
    expect(await pages.page(0, 10)).toEqual([])
  })
})

test('a page ends when it has about a megabyte', async () => {
  const canonical = Buffer.alloc(10_000)
  let asked = 0
  const pages = createEntryPages(
    {
      rowsFrom: (sequence, rowsMax) => {
        asked += 1
        return Promise.resolve(
          Array.from({ length: rowsMax }, (_, index) => ({
            sequence: sequence + index,
            hash: Buffer.alloc(32),
            canonical,
          })),
        )
      },
    },
    createLedgerTurns(),
  )
  const page = await pages.page(1, 1000)
  expect(page).toHaveLength(200)
  expect(asked).toBe(2)
})
