import { postgresName } from '../base/postgres-url.ts'
import type { Row } from './chain.ts'
import type { LedgerDatabase } from './ledger-database.ts'
import { readPagesBackwards, readRows } from './read.ts'

/** A ledger that can be read from end to end, wherever it is kept, while the service writes it. */
export interface LedgerSource {
  /** For reports: the path of a file, or a database without role and password. */
  readonly name: string
  /**
   * Every stored row in order, unverified, a bounded number of them in memory at a time.
   *
   * @throws LedgerFileError | LedgerDatabaseError when it cannot be read.
   */
  pages(): AsyncIterable<Iterable<Row>>
  /** The same from the last row back to the first, a page at a time, for whoever looks for what is young. */
  pagesBackwards(): AsyncIterable<readonly Row[]>
}

export const ledgerInFile = (file: string): LedgerSource => ({
  name: file,
  // eslint-disable-next-line @typescript-eslint/require-await -- SQLite is read at once, a database is waited for
  async *pages() {
    yield readRows(file)
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
  async *pagesBackwards() {
    const { readPagesBackwards: pagesOf } = await import('./postgres-reader.ts')
    yield* pagesOf(ledger)
  },
})
