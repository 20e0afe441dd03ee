import type { LedgerEnd, Row } from './chain.ts'
import { LedgerFileError, openLedgerToRead, readCut, rowColumns, rowFrom } from './ledger-file.ts'
import { ledgerIdFrom } from './ledger-id.ts'

/** Rows that are in memory at a time. */
const pageRows = 1000

/**
 * Every stored row of a ledger file in order, unverified, behind what stands for those that were pruned; also while the service appends, and what it
 * appends meanwhile is read too. Each page is a read of its own, because one long read would keep
 * SQLite from recycling the write-ahead log under the service.
 *
 * @param behind Only rows of a higher sequence; all when absent.
 * @throws LedgerFileError when the file cannot be opened; SQLite's own error for a damaged page.
 */
export function* readRows(
  file: string,
  behind = Number.MIN_SAFE_INTEGER,
): Generator<Row, void, undefined> {
  const db = openLedgerToRead(file)
  try {
    const select = db.prepare(
      `SELECT ${rowColumns} FROM entry WHERE sequence > ? ORDER BY sequence LIMIT ${pageRows}`,
    )
    let page: readonly Row[]
    let after = behind
    const cut = readCut(db)
    // Whoever has read up to there needs nothing that stands for it; of what is no cut nobody has.
    if (cut !== undefined && !(cut.sequence <= behind)) yield cut
    do {
      page = select.all(after).map(rowFrom)
      if (!Object.is(readCut(db)?.sequence, cut?.sequence)) throw prunedMeanwhile(file)
      yield* page
      after = page.at(-1)?.sequence ?? after
    } while (page.length === pageRows)
  } finally {
    db.close()
  }
}

const prunedMeanwhile = (file: string) =>
  new LedgerFileError('LEDGER_PRUNED', `${file} was pruned while it was read: read it again`)

/** The same from the last row back to the first, a page at a time; what is appended meanwhile is not read. */
export function* readPagesBackwards(file: string): Generator<readonly Row[], void, undefined> {
  const db = openLedgerToRead(file)
  try {
    const select = db.prepare(
      `SELECT ${rowColumns} FROM entry WHERE sequence < ? ORDER BY sequence DESC LIMIT ${pageRows}`,
    )
    let page: readonly Row[]
    let before = Number.MAX_SAFE_INTEGER
    do {
      page = select.all(before).map(rowFrom)
      yield page
      before = page.at(-1)?.sequence ?? before
    } while (page.length === pageRows)
  } finally {
    db.close()
  }
}

/**
 * Which ledger it is, and its last entry, unverified; undefined where there is none.
 *
 * @throws LedgerFileError when the file cannot be opened, or does not begin as a ledger does.
 */
export function readEnd(file: string): LedgerEnd | undefined {
  const db = openLedgerToRead(file)
  try {
    const [first, tip] = ['ASC', 'DESC'].map((order) => {
      const row = db
        .prepare(`SELECT ${rowColumns} FROM entry ORDER BY sequence ${order} LIMIT 1`)
        .get()
      return row && rowFrom(row)
    })
    if (first === undefined || tip === undefined) return undefined
    // Behind the first entry, which may be pruned meanwhile: then this stands for it.
    const ledger = ledgerIdFrom(readCut(db) ?? first)
    if (ledger === undefined) throw beginningGone(file)
    return { ledger, tip }
  } finally {
    db.close()
  }
}

const beginningGone = (file: string) =>
  new LedgerFileError(
    'LEDGER_UNREADABLE',
    `${file} begins neither with its first entry nor with what stands for those that were pruned`,
  )
