import { closeSync, openSync, readSync } from 'node:fs'
import type { Row } from '../ledger/chain.ts'
import { readExportedPages } from '../ledger/exported-ledger.ts'
import { ledgerNamedBy, type LedgerOptions } from './ledger-options.ts'

/** A ledger that is read from end to end: where the service keeps it, or as it was exported. */
export interface NamedRows {
  readonly name: string
  /** Of the deployment; undefined when no configuration is read. */
  readonly publicUrl?: string
  pages(): AsyncIterable<Iterable<Row>> | Iterable<Iterable<Row>>
}

/** What `ledgerNamedBy` takes, and a file of `ledger export` besides. */
export async function rowsNamedBy(options: LedgerOptions): Promise<NamedRows> {
  const { ledger } = options
  if (ledger !== undefined && isExport(ledger)) {
    return { name: ledger, pages: () => readExportedPages(ledger) }
  }
  const { source, config } = await ledgerNamedBy(options)
  return config === undefined ? source : { ...source, publicUrl: config.publicUrl }
}

/** A database file begins with its name, and a URL with its scheme. */
function isExport(file: string): boolean {
  try {
    const handle = openSync(file, 'r')
    try {
      const first = Buffer.alloc(1)
      return readSync(handle, first) === 1 && first.toString() === '{'
    } finally {
      closeSync(handle)
    }
  } catch {
    // A URL, a folder, or nothing: whoever opens it next says so.
    return false
  }
}
