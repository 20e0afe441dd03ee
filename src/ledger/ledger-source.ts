import { postgresName } from '../base/postgres-url.ts'
import type { Row } from './chain.ts'
import { readExportedPages } from './exported-ledger.ts'
import type { LedgerDatabase } from './ledger-database.ts'
import { readPagesBackwards, readRows } from './read.ts'

/** A ledger that can be read from end to end, wherever it is kept, while the service writes it. */
export interface LedgerSource {
  /** For reports: the path of a file, or a database without role and password. */
  readonly name: string
  /**
   * Every stored row in order, unverified, a bounded number of them in memory at a time; where entries were pruned,
   * what stands for them comes first, and is no entry.
   *
   * @throws LedgerFileError | LedgerDatabaseError when it cannot be read.
   */
  pages(): AsyncIterable<Iterable<Row>>
  /** The same of the rows behind that sequence alone. */
  pagesAfter(sequence: number): AsyncIterable<Iterable<Row>>
  /** The same from the last row back to the first, a page at a time, for whoever looks for what is young. */
  pagesBackwards(): AsyncIterable<readonly Row[]>
}

/** Where it is kept, for whoever changes it. */
export type KeptLedger =
  | { readonly in: 'file'; readonly file: string }
  | { readonly in: 'database'; readonly ledger: LedgerDatabase }

export const sourceOf = (kept: KeptLedger): LedgerSource =>
  kept.in === 'file' ? ledgerInFile(kept.file) : ledgerInDatabase(kept.ledger)

export const ledgerInFile = (file: string): LedgerSource => ({
  name: file,
  // eslint-disable-next-line @typescript-eslint/require-await -- SQLite is read at once, a database is waited for
  async *pages() {
    yield readRows(file)
  },
  // eslint-disable-next-line @typescript-eslint/require-await -- likewise
  async *pagesAfter(sequence) {
    yield readRows(file, sequence)
  },
  // eslint-disable-next-line @typescript-eslint/require-await -- likewise
  async *pagesBackwards() {
    yield* readPagesBackwards(file)
  },
})

export const ledgerInDatabase = (ledger: LedgerDatabase): LedgerSource => ({
  name: postgresName(ledger.database),
  async *pages() {
    // Most ledgers are files: whoever reads one does not load the driver of a database.
    const { readPages } = await import('./postgres-reader.ts')
    yield* readPages(ledger)
  },
  async *pagesAfter(sequence) {
    const { readPagesAfter: pagesOf } = await import('./postgres-reader.ts')
    yield* pagesOf(ledger, sequence)
  },
  async *pagesBackwards() {
    const { readPagesBackwards: pagesOf } = await import('./postgres-reader.ts')
    yield* pagesOf(ledger)
  },
})

/** A ledger behind the exports of what was pruned from it, oldest first. */
export const behindExports = (files: readonly string[], source: LedgerSource): LedgerSource => ({
  ...source,
  async *pages() {
    for (const file of files) yield* readExportedPages(file)
    yield* source.pages()
  },
})
