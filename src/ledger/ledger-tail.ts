import type { Row } from './chain.ts'
import { asLedgerFileError, openLedgerToRead, rowColumns, rowFrom } from './ledger-file.ts'

/** A ledger that is followed as it grows, some rows at a time. */
export interface LedgerTail {
  /**
   * The stored rows from that sequence on, in order and unverified; fewer than `rowsMax` when there are no more.
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
      return asLedgerFileError(file, () => db.prepare(select).all(sequence, rowsMax).map(rowFrom))
    } finally {
      db.close()
    }
  },
})
