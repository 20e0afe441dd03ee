import type { EntryKind } from '../../src/ledger/entry.ts'
import { changeFile } from './ledger-store.ts'

/**
 * From now on the disk under a ledger is full for entries of this kind (for all of them without one),
 * so that the commit with the first of them fails.
 */
export function fillDisk(ledgerFile: string, forKind?: EntryKind): void {
  const condition = forKind === undefined ? '' : `WHEN NEW.canonical LIKE '%"kind":"${forKind}"%'`
  changeFile(
    ledgerFile,
    `CREATE TRIGGER full BEFORE INSERT ON entry ${condition}
     BEGIN SELECT RAISE(FAIL, 'database or disk is full'); END`,
  )
}

/** There is room again. */
export function emptyDisk(ledgerFile: string): void {
  changeFile(ledgerFile, 'DROP TRIGGER full')
}
