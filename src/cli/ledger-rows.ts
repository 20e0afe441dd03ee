import { closeSync, openSync, readSync } from 'node:fs'
import type { Config } from '../config/config.ts'
import type { Row } from '../ledger/chain.ts'
import { readExportedPages } from '../ledger/exported-ledger.ts'
import type { KeptLedger } from '../ledger/ledger-source.ts'
import { CommandError } from './command-error.ts'
import { configNamedBy, ledgerNamedBy, type LedgerOptions } from './ledger-options.ts'

/** A ledger that is read from end to end: where the service keeps it, or as it was exported. */
export interface NamedRows {
  readonly name: string
  /** Absent when it is not named, and something else names the ledger. */
  readonly config?: Config
  /** Absent of an export. */
  readonly kept?: KeptLedger
  pages(): AsyncIterable<Iterable<Row>> | Iterable<Iterable<Row>>
}

/** What `ledgerNamedBy` takes, and a file of `ledger export` besides. */
export async function rowsNamedBy(options: LedgerOptions): Promise<NamedRows> {
  const { ledger, config: file } = options
  if (ledger !== undefined && isExport(ledger)) {
    const files = [...(options.pruned ?? []), ledger]
    const rows = { name: ledger, pages: () => pagesOf(files) }
    return file === undefined ? rows : { ...rows, config: await configNamedBy(file) }
  }
  const { source, kept, config } = await ledgerNamedBy(options)
  return config === undefined ? { ...source, kept } : { ...source, kept, config }
}

function* pagesOf(files: readonly string[]): Generator<readonly Row[], void, undefined> {
  for (const file of files) {
    let last: Row | undefined
    for (const page of readExportedPages(file)) {
      for (const row of page) {
        if (last !== undefined && isPrunedBetween(last, row)) throw prunedMeanwhile(file, last, row)
        last = row
      }
      yield page
    }
  }
}

/** Of what was gathered page by page, or in parts: the ledger was pruned between two of them. */
const isPrunedBetween = (last: Row, row: Row) => row.isCut === true && row.sequence > last.sequence

const prunedMeanwhile = (file: string, last: Row, cut: Row) =>
  new CommandError(
    `${file} was gathered while the ledger was pruned: entries ${last.sequence + 1} to ${cut.sequence} are not in it, and were gone before they were asked for. Gather it anew, from the beginning`,
  )

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
