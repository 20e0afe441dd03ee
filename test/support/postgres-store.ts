import { systemClock } from '../../src/base/clock.ts'
import { defaultSchema, parsePostgresUrl } from '../../src/base/postgres-url.ts'
import type { Row } from '../../src/ledger/chain.ts'
import type { Entry } from '../../src/ledger/entry.ts'
import type { LedgerDatabase } from '../../src/ledger/ledger-database.ts'
import type { Ledger } from '../../src/ledger/ledger.ts'
import { moveLedger } from '../../src/ledger/move-ledger.ts'
import type { ExportedUpTo } from '../../src/ledger/exported-up-to.ts'
import type { Move } from '../../src/ledger/move-ledger.ts'
import { createPostgresLedger } from '../../src/ledger/postgres-ledger.ts'
import type { PostgresLedgerOptions } from '../../src/ledger/postgres-ledger.ts'
import { readPages } from '../../src/ledger/postgres-reader.ts'
import { verifyChain } from '../../src/ledger/verify.ts'
import type { LedgerStore } from '../contract/ledger.contract.ts'
import { query, type TestPostgres } from './postgres.ts'
import { required } from './required.ts'

/** The ledger in the database of a URL. */
export const ledgerAt = (url: string, schema = defaultSchema): LedgerDatabase => ({
  database: required(parsePostgresUrl(url)),
  schema,
})

/** More than a busy machine takes: whoever is about a deadline brings its own. */
const patient = { commitTimeoutMs: 30_000, connectTimeoutMs: 30_000 }

export const openLedgerAt = (
  url: string,
  options: Omit<PostgresLedgerOptions, 'locate'> = {},
): Promise<Ledger> =>
  openLedger({ locate: () => Promise.resolve(ledgerAt(url)), ...patient, ...options })

export async function openLedger(options: PostgresLedgerOptions): Promise<Ledger> {
  const ledger = createPostgresLedger(options)
  await ledger.open()
  return ledger
}

/** Of a service that exported nothing. */
export const moveTo = (
  url: string,
  file: string,
  readExportedUpTo: () => Promise<ExportedUpTo | undefined> = () => Promise.resolve(undefined),
): Promise<Move> => moveLedger(file, ledgerAt(url), { readExportedUpTo, clock: systemClock })

/** Every entry of a ledger whose chain verifies, and whose tip is its last entry. */
export async function verifiedEntriesAt(url: string): Promise<readonly Entry[]> {
  const rows: Row[] = []
  for await (const page of readPages(ledgerAt(url))) rows.push(...page)
  const verification = verifyChain(rows)
  if (!verification.ok) throw new Error(`the chain is broken: ${JSON.stringify(verification)}`)
  const [tip] = await query(url, 'SELECT sequence, hash FROM countersign.tip')
  if (Number(tip?.['sequence']) !== verification.tip.sequence) throw new Error('the tip is another')
  return rows.map((row) => JSON.parse(Buffer.from(row.canonical).toString()) as Entry)
}

/** A ledger in a database of its own. */
export async function createPostgresStore(
  server: TestPostgres,
): Promise<LedgerStore & { readonly url: string }> {
  const url = await server.createDatabase()
  return {
    url,
    open: (waitingEntriesMax, onRevocations) =>
      openLedgerAt(url, {
        ...(waitingEntriesMax === undefined ? {} : { waitingEntriesMax }),
        ...(onRevocations === undefined ? {} : { onRevocations }),
      }),
    entries: () => verifiedEntriesAt(url),
    breakWrites: async () => {
      await query(
        url,
        `CREATE FUNCTION countersign.full() RETURNS trigger LANGUAGE plpgsql AS
           'BEGIN RAISE disk_full; END';
         CREATE TRIGGER full_disk BEFORE INSERT ON countersign.entry
           EXECUTE FUNCTION countersign.full()`,
      )
    },
    mendWrites: async () => {
      await query(url, 'DROP FUNCTION countersign.full CASCADE')
    },
    // The database is gone with its server.
    remove: () => undefined,
  }
}
