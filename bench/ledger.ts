import { closeSync, fdatasyncSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Entry } from '../src/ledger/entry.ts'
import type { Ledger } from '../src/ledger/ledger.ts'
import { createSqliteLedger } from '../src/ledger/sqlite-ledger.ts'
import { startPostgres } from '../test/support/postgres.ts'
import { openLedgerAt } from '../test/support/postgres-store.ts'
import { median, type Row } from './table.ts'

export interface LedgerBenchOptions {
  readonly rounds: number
  readonly durationMs: number
}

/** As many requests as wait for the ledger at once. */
const appenders = 256

/**
 * Entries that are synced to the disk, appended one at a time by concurrent requests; both ledgers on
 * the same disk, in turns. The server of PostgreSQL is the real one with its usual settings, on loopback.
 */
export async function ledgerMeasure(options: LedgerBenchOptions): Promise<readonly Row[]> {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-bench-ledger-'))
  const server = await startPostgres()
  try {
    const url = await server.createDatabase()
    const [sqlite, postgres, alone, sync]: [number[], number[], number[], number[]] = [
      [],
      [],
      [],
      [],
    ]
    for (let round = 0; round < options.rounds; round += 1) {
      const file = join(folder, `${round}.db`)
      sqlite.push(await rateOf(await createSqliteLedger({ file }), options.durationMs))
      postgres.push(await rateOf(await openLedgerAt(url), options.durationMs))
      alone.push(
        await timeAlone(await createSqliteLedger({ file: join(folder, `alone-${round}.db`) })),
      )
      sync.push(timeOfSync(join(folder, `sync-${round}`)))
    }
    return [
      row('SQLite', median(sqlite), 20_000),
      row('PostgreSQL', median(postgres), 10_000),
      { measure: 'one durable entry by itself, SQLite, p50', value: median(alone), unit: 'ms' },
      {
        measure: 'one page appended and synced to the same disk, p50',
        value: median(sync),
        unit: 'ms',
      },
    ]
  } finally {
    await server.stop()
    rmSync(folder, { recursive: true })
  }
}

const row = (store: string, value: number, bar: number): Row => ({
  measure: `durable ledger entries of ${appenders} at once, ${store}`,
  value,
  unit: '/s',
  bar: `≥ ${bar} /s`,
  met: value >= bar,
})

/** Entries a second; closes the ledger. */
async function rateOf(ledger: Ledger, durationMs: number): Promise<number> {
  let count = 0
  const startedAt = performance.now()
  const isOver = () => performance.now() - startedAt >= durationMs
  const appendUntilOver = async () => {
    while (!isOver()) {
      await ledger.append([entry(count)])
      count += 1
    }
  }
  await Promise.all(Array.from({ length: appenders }, appendUntilOver))
  const seconds = (performance.now() - startedAt) / 1000
  await ledger.close()
  return count / seconds
}

const aloneTimes = 300

/** From one entry to the next when nothing else is appended, ms; closes the ledger. */
async function timeAlone(ledger: Ledger): Promise<number> {
  const times: number[] = []
  for (let count = 0; count < aloneTimes; count += 1) {
    const startedAt = performance.now()
    await ledger.append([entry(count)])
    times.push(performance.now() - startedAt)
  }
  await ledger.close()
  return median(times)
}

/** What no ledger on this disk can be faster than, ms. */
function timeOfSync(file: string): number {
  const page = Buffer.alloc(4096, 1)
  const descriptor = openSync(file, 'w')
  const times = Array.from({ length: aloneTimes }, () => {
    const startedAt = performance.now()
    writeSync(descriptor, page)
    fdatasyncSync(descriptor)
    return performance.now() - startedAt
  })
  closeSync(descriptor)
  return median(times)
}

/** A cache hit: the one entry of most requests. */
const entry = (count: number): Entry => ({
  kind: 'token.issued',
  atMs: 1_790_000_000_000 + count,
  attempt: `01990000-0000-7000-8000-${String(count).padStart(12, '0')}`,
  caller: {
    issuer: 'github',
    subject: 'repo:contoso/billing:environment:production',
    tokenSha256: 'n4bQgYhMfWWaL-qgxVrQFaO_TxsrC4Is0V1sFbDwCgg',
  },
  grant: 'billing-export',
  application: 'events',
  tenant: 'fab00000-0000-4000-8000-000000000002',
  scope: 'https://eventhubs.azure.net/.default',
  obtainedBy: '01990000-0000-7000-8000-000000000000',
  tokenSha256: 'LCa0a2j_xo_5m0U8HTBBNBNCLXBkg7-g-YpeiGJm564',
  expiresAtSeconds: 1_790_003_600,
})
