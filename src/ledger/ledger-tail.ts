import type { Row } from './chain.ts'
import { asLedgerFileError, openLedgerToRead, readCut, rowColumns, rowFrom } from './ledger-file.ts'

/** A ledger that is followed as it grows, some rows at a time. */
export interface LedgerTail {
  /**
   * The stored rows from that sequence on, in order and unverified; fewer than `rowsMax` when there are no more.
   * Where the first of them were pruned, what stands for those comes first. All are of one moment, and the next ones of another:
   * more may be pruned until then.
   *
   * @throws LedgerFileError | DatabaseAccessError when it cannot be read.
   */
  rowsFrom(sequence: number, rowsMax: number): Promise<readonly Row[]>
}

/** Opened for each page, because a reader that stays keeps SQLite from recycling its log. */
export const tailOfFile = (file: string): LedgerTail => ({
  // eslint-disable-next-line @typescript-eslint/require-await -- a file is read at once, a database is waited for
  rowsFrom: async (sequence, rowsMax) => {
    const db = openLedgerToRead(file)
    try {
      const select = `SELECT ${rowColumns} FROM entry WHERE sequence >= ? ORDER BY sequence LIMIT ?`
      return asLedgerFileError(file, () => {
        // Both as they are at one moment.
        db.exec('BEGIN')
        const cut = readCut(db)
        const rows = db.prepare(select).all(sequence, rowsMax).map(rowFrom)
        return cut !== undefined && cut.sequence >= sequence ? [cut, ...rows] : rows
      })
    } finally {
      db.close()
    }
  },
})
