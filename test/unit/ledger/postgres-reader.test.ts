import { setTimeout } from 'node:timers/promises'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Row } from '../../../src/ledger/chain.ts'
import type { Ledger } from '../../../src/ledger/ledger.ts'
import { readPages } from '../../../src/ledger/postgres-reader.ts'
import { startCuttableProxy } from '../../support/cuttable-proxy.ts'
import { chainedRows, startedEntry } from '../../support/entries.ts'
import { query, startPostgres, urlWith, type TestPostgres } from '../../support/postgres.ts'
import { ledgerAt, openLedgerAt } from '../../support/postgres-store.ts'
import { verifyPages } from '../../support/verify-pages.ts'

/** Three pages, the last of them not full. */
const entries = Array.from({ length: 2500 }, (_, index) => startedEntry(`${index} “ü\u0000”\\`))

let server: TestPostgres
beforeAll(async () => {
  server = await startPostgres()
})
afterAll(() => server.stop())

let url: string
beforeEach(async () => {
  url = await server.createDatabase()
})

async function withLedger(act: (ledger: Ledger) => Promise<void>): Promise<void> {
  const ledger = await openLedgerAt(url)
  try {
    await act(ledger)
  } finally {
    await ledger.close()
  }
}

async function rowsFrom(pages: AsyncIterable<readonly Row[]>): Promise<readonly Row[]> {
  const rows: Row[] = []
  for await (const page of pages) rows.push(...page)
  return rows
}

describe('reading a ledger in PostgreSQL', () => {
  it('gives every row as it was hashed, page by page', async () => {
    await withLedger((ledger) => ledger.append(entries))
    const sizes: number[] = []
    const rows: Row[] = []
    for await (const page of readPages(ledgerAt(url))) {
      sizes.push(page.length)
      rows.push(...page)
    }
    expect(sizes).toEqual([1000, 1000, 500])
    expect(rows).toEqual(
      chainedRows(entries).map((row) => ({ ...row, hash: Buffer.from(row.hash) })),
    )
    expect(await verifyPages(readPages(ledgerAt(url)))).toMatchObject({
      ok: true,
      tip: { sequence: 2500 },
    })
  })

  it('gives nothing of one that has no entry', async () => {
    await withLedger(() => Promise.resolve())
    expect(await rowsFrom(readPages(ledgerAt(url)))).toEqual([])
  })

  it('is of one moment: what is appended meanwhile is not in it, and is not held up', async () => {
    await withLedger(async (ledger) => {
      await ledger.append(entries)
      const pages = readPages(ledgerAt(url))
      await pages.next()
      await ledger.append(entries)
      expect(await rowsFrom(pages)).toHaveLength(1500)
    })
    expect(await rowsFrom(readPages(ledgerAt(url)))).toHaveLength(5000)
  })

  it('can be ended early, and leaves no connection behind', async () => {
    await withLedger((ledger) => ledger.append(entries))
    for await (const page of readPages(ledgerAt(url))) {
      expect(page).toHaveLength(1000)
      break
    }
    const connections = () =>
      query(
        url,
        "SELECT FROM pg_stat_activity WHERE application_name = 'countersign' AND datname = current_database()",
      )
    await expect.poll(async () => (await connections()).length).toBe(0)
  })

  it('finds what was changed, and says where', async () => {
    await withLedger((ledger) => ledger.append(entries))
    await query(url, "UPDATE countersign.entry SET canonical = '{}' WHERE sequence = 1500")
    expect(await verifyPages(readPages(ledgerAt(url)))).toMatchObject({
      ok: false,
      intactUpTo: { sequence: 1499 },
      fault: { fault: 'hash', sequence: 1500 },
    })
  })

  it('fails when the connection is lost in the middle, instead of ending', async () => {
    await withLedger((ledger) => ledger.append(entries))
    const proxy = await startCuttableProxy(server.port)
    const pages = readPages(ledgerAt(urlWith(url, { port: String(proxy.port) })))
    await pages.next()
    proxy.cut()
    await setTimeout(50)
    await expect(pages.next()).rejects.toMatchObject({ code: 'LEDGER_UNREACHABLE' })
    await proxy.close()
  })

  it('is refused where a ledger was never begun, and makes none', async () => {
    await expect(rowsFrom(readPages(ledgerAt(url)))).rejects.toMatchObject({
      code: 'LEDGER_MISSING',
      message: expect.stringContaining('was never begun') as unknown,
    })
    expect(await query(url, "SELECT FROM pg_namespace WHERE nspname = 'countersign'")).toEqual([])
  })
})
