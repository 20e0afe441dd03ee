import { DatabaseSync } from 'node:sqlite'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { postgresName } from '../../../src/base/postgres-url.ts'
import { createEntryPages } from '../../../src/audit/entry-pages.ts'
import { createLedgerTurns } from '../../../src/audit/ledger-turns.ts'
import { verdictJson } from '../../../src/cli/ledger-verdict.ts'
import { createPostgresHeadTurns } from '../../../src/custody/postgres-head-turns.ts'
import { verifyLedger } from '../../../src/custody/verify-ledger.ts'
import { parseHead } from '../../../src/custody/head.ts'
import type { DatabaseSession } from '../../../src/database-access/database-session.ts'
import type { Cut } from '../../../src/ledger/cut.ts'
import { moveMarkOf, putMoveMark } from '../../../src/ledger/move-mark.ts'
import { readPages } from '../../../src/ledger/postgres-reader.ts'
import { tailOfDatabase } from '../../../src/ledger/postgres-tail.ts'
import { pruneLedgerFile } from '../../../src/ledger/prune-file.ts'
import { readExportedUpTo } from '../../../src/ledger/postgres-exported-up-to.ts'
import { prunePostgresLedger } from '../../../src/ledger/prune-postgres.ts'
import { readRows } from '../../../src/ledger/read.ts'
import { verifyChain } from '../../../src/ledger/verify.ts'
import { headKeyEntry, firstMs, writeLedger } from '../../support/evidence.ts'
import { startedEntry } from '../../support/entries.ts'
import { createSqliteStore } from '../../support/ledger-store.ts'
import { query, startPostgres, type TestPostgres } from '../../support/postgres.ts'
import { ledgerAt, moveTo, openLedgerAt } from '../../support/postgres-store.ts'
import { required } from '../../support/required.ts'
import { sessionAt } from '../../support/postgres-session.ts'

let server: TestPostgres
beforeAll(async () => {
  server = await startPostgres()
})
afterAll(async () => {
  await server.stop()
})

const written = writeLedger({ entries: 130, headEvery: 40, proofEvery: 25 })
const [headKey] = [headKeyEntry(firstMs)].flatMap((entry) =>
  entry.kind === 'head.key-loaded' ? [{ keyId: entry.keyId, publicKey: entry.publicKey }] : [],
)
/** @param head Which of the heads it ends with. */
function cutAt(head: number, from = 1): Cut {
  const compact = required(written.heads[head])
  const { ledger, sequence, hash } = required(parseHead(compact)).statement
  return {
    kind: 'ledger.cut',
    atMs: firstMs,
    ledger,
    from,
    sequence,
    hash,
    head: compact,
    heldBy: 'witness',
    by: 'owner',
    headKeys: [required(headKey)],
    certificates: [],
  }
}
const cut = cutAt(0)

test('removes entries while a replica goes on, and what is left verifies', async () => {
  const url = await server.createDatabase()
  const replica = await openLedgerAt(url)
  await replica.append(written.entries)
  await prunePostgresLedger(ledgerAt(url), cut)
  await replica.append([startedEntry('goes on')])
  await replica.close()
  const verdict = await verifyLedger(readPages(ledgerAt(url)), {
    headKeys: [],
    anchors: [],
    certificates: [],
  })
  expect(verdict.damage).toBeUndefined()
  expect(verdict).toMatchObject({
    begins: { behind: 40 },
    intactUpTo: { sequence: 132 },
    ledger: cut.ledger,
  })
  const [left] = await query(url, 'SELECT count(*)::integer AS entries FROM countersign.entry')
  expect(left?.['entries']).toBe(92)
  await expect(prunePostgresLedger(ledgerAt(url), cut)).rejects.toMatchObject({
    code: 'LEDGER_REFUSED',
  })
})

test('a file that was pruned is moved with what stands for the rest', async () => {
  const store = createSqliteStore()
  const file = await store.open()
  await file.append(written.entries)
  await file.close()
  pruneLedgerFile(store.file, cut)
  const url = await server.createDatabase()
  expect(await moveTo(url, store.file)).toMatchObject({ moved: true, target: { sequence: 131 } })
  const evidence = { headKeys: [], anchors: [], certificates: [] }
  const moved = await verifyLedger(readPages(ledgerAt(url)), evidence)
  const inFile = await verifyLedger([[...readRows(store.file)]], evidence)
  expect(verdictJson('', moved)).toBe(verdictJson('', inFile))
  expect(moved).toMatchObject({ begins: { behind: 40 }, intactUpTo: { sequence: 131 } })
  store.remove()
})

test.each([
  ['up to its last entry is found to have been moved there', 0, { moved: true, when: 'before' }],
  ['beyond it is not: nothing shows it any more', 1, { moved: false, why: 'target-not-empty' }],
])('a file of which the rest was pruned %s', async (_, head, expected) => {
  const store = createSqliteStore()
  const file = await store.open()
  await file.append(written.entries.slice(0, cut.sequence))
  await file.close()
  const url = await server.createDatabase()
  const replica = await openLedgerAt(url)
  await replica.append(written.entries)
  await replica.close()
  await prunePostgresLedger(ledgerAt(url), cutAt(head))
  expect(await moveTo(url, store.file)).toMatchObject(expected)
  store.remove()
})

test.each([
  [
    'is found in the database that went beyond it',
    written.entries,
    { moved: true, when: 'before' },
  ],
  [
    'is not found in one of another ledger',
    [startedEntry('another')],
    { moved: false, why: 'target-began-anew' },
  ],
])(
  'a move that was not finished, and whose file was pruned beyond, %s',
  async (_, all, expected) => {
    const store = createSqliteStore()
    const file = await store.open()
    await file.append(all.slice(0, cut.sequence))
    await file.close()
    const url = await server.createDatabase()
    const replica = await openLedgerAt(url)
    await replica.append(written.entries)
    await replica.close()
    await prunePostgresLedger(ledgerAt(url), cutAt(1))
    const db = new DatabaseSync(store.file)
    const to = { database: postgresName(ledgerAt(url).database), schema: 'countersign' }
    const tip = required([...readRows(store.file)].at(-1))
    putMoveMark(db, { state: 'begun', to, tip, atMs: firstMs })
    db.close()
    expect(await moveTo(url, store.file)).toMatchObject(expected)
    expect(moveMarkOf(store.file)?.state).toBe(expected.moved ? 'done' : 'begun')
    store.remove()
  },
)

test('leaves the ledger its name, for heads and for whoever follows it', async () => {
  const url = await server.createDatabase()
  const replica = await openLedgerAt(url)
  await replica.append(written.entries)
  await prunePostgresLedger(ledgerAt(url), cut)
  const session = sessionAt(url)
  try {
    const schedule = { everySeconds: 60, everyEntries: 100 }
    const end = await createPostgresHeadTurns(session, schedule).take('last')
    expect(end).toMatchObject({ ledger: cut.ledger, tip: { sequence: 131 } })
    const tail = tailOfDatabase(session)
    const [first, second] = await tail.rowsFrom(0, 10)
    expect([first?.isCut, first?.sequence, second?.sequence]).toEqual([true, 40, 41])
    const [next] = await tail.rowsFrom(41, 10)
    expect(next).toMatchObject({ sequence: 41 })
    expect(next?.isCut).toBeUndefined()
  } finally {
    await session.close()
    await replica.close()
  }
})

describe('what is pruned while somebody reads', () => {
  async function withLedger(act: (url: string) => Promise<void>): Promise<void> {
    const url = await server.createDatabase()
    const replica = await openLedgerAt(url)
    await replica.append(written.entries)
    await replica.close()
    await act(url)
  }

  test('is read to the end by who reads all of it', () =>
    withLedger(async (url) => {
      const long = Array.from({ length: 3000 }, (_, index) => startedEntry(`${index}`))
      const replica = await openLedgerAt(url)
      await replica.append(long)
      await replica.close()
      const pages = readPages(ledgerAt(url))
      const { value: first } = await pages.next()
      await prunePostgresLedger(ledgerAt(url), cutAt(2))
      const rows = [...(first ?? [])]
      for await (const page of pages) rows.push(...page)
      expect(rows[0]?.sequence).toBe(1)
      expect(rows).toHaveLength(written.entries.length + long.length)
      expect(verifyChain(rows).ok).toBe(true)
    }))

  test('is all of it behind what stands for it, when more goes between two statements', () =>
    withLedger(async (url) => {
      await prunePostgresLedger(ledgerAt(url), cutAt(0))
      const session = sessionAt(url)
      let statements = 0
      const pruning: DatabaseSession = {
        ...session,
        query: async (sql, values) => {
          statements += 1
          if (statements === 2) await prunePostgresLedger(ledgerAt(url), cutAt(2, 41))
          return session.query(sql, values)
        },
      }
      const rows = await tailOfDatabase(pruning).rowsFrom(1, 50)
      await session.close()
      expect(rows[0]).toMatchObject({ isCut: true, sequence: cutAt(2).sequence })
      expect(rows.length).toBeGreaterThan(5)
      expect(verifyChain(rows).ok).toBe(true)
    }))

  test('ends the page that somebody is being given, and the next one begins with what stands for it', () =>
    withLedger(async (url) => {
      const session = sessionAt(url)
      const tail = tailOfDatabase(session)
      let steps = 0
      const pages = createEntryPages(
        {
          rowsFrom: async (sequence, rowsMax) => {
            steps += 1
            if (steps === 2) await prunePostgresLedger(ledgerAt(url), cutAt(2))
            return tail.rowsFrom(sequence, rowsMax)
          },
        },
        createLedgerTurns(),
      )
      const page = required(await pages.page(0, 1000))
      const next = required(await pages.page(page.length, 1000))
      await session.close()
      expect(page.map(({ sequence }) => sequence)).toEqual(page.map((_, index) => index + 1))
      expect(page.some(({ isCut }) => isCut === true)).toBe(false)
      expect(next[0]).toMatchObject({ isCut: true, sequence: cutAt(2).sequence })
      expect(page.length).toBeLessThan(cutAt(2).sequence)
      expect(verifyChain(page).ok).toBe(true)
      expect(verifyChain(next).ok).toBe(true)
    }))
})

test('closes the ledger to programs that know of no cut, when something is pruned and not before', async () => {
  const url = await server.createDatabase()
  const replica = await openLedgerAt(url)
  await replica.append(written.entries)
  await replica.close()
  const usableFrom = async () => {
    const [last] = await query(
      url,
      'SELECT usable_from FROM countersign.ledger_version ORDER BY version DESC LIMIT 1',
    )
    return last?.['usable_from']
  }
  expect(await usableFrom()).toBe(5)
  await prunePostgresLedger(ledgerAt(url), cut)
  expect(await usableFrom()).toBe(9)
})

test('knows how far entries were sent, where they are sent anywhere', async () => {
  const url = await server.createDatabase()
  const replica = await openLedgerAt(url)
  await replica.close()
  expect(await readExportedUpTo(ledgerAt(url))).toBeUndefined()
  await query(
    url,
    `INSERT INTO countersign.export_cursor VALUES
       ('one', 70, decode(repeat('00', 32), 'hex'), gen_random_uuid(), now()),
       ('two', 60, decode(repeat('00', 32), 'hex'), gen_random_uuid(), now())`,
  )
  const hash = Buffer.alloc(32)
  expect(await readExportedUpTo(ledgerAt(url))).toEqual({ destination: 'two', sequence: 60, hash })
  expect(await readExportedUpTo(ledgerAt(url), 'one')).toMatchObject({ sequence: 70 })
  expect(await readExportedUpTo(ledgerAt(url), 'x')).toBeUndefined()
})
