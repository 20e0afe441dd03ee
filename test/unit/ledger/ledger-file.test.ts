import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openLedgerToRead } from '../../../src/ledger/ledger-file.ts'
import { changeFile } from '../../support/ledger-store.ts'

let folder: string
let file: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'countersign-ledger-file-'))
  file = join(folder, 'countersign.db')
})
afterEach(() => {
  rmSync(folder, { recursive: true })
})

/** What a process leaves that is killed after the first page is written and before its journal is gone. */
function leaveHotJournal(): void {
  const live = join(folder, 'live.db')
  const db = new DatabaseSync(live)
  db.exec(
    'PRAGMA cache_size = 1; BEGIN; CREATE TABLE t (a); INSERT INTO t VALUES (zeroblob(100000))',
  )
  copyFileSync(`${live}-journal`, `${file}-journal`)
  db.exec('ROLLBACK')
  db.close()
  changeFile(live, 'PRAGMA journal_mode = WAL')
  copyFileSync(live, file)
}

describe('reading a ledger whose first start was killed', () => {
  it.each<[claim: string, leave: () => void]>([
    [
      'before its first byte',
      () => {
        writeFileSync(file, '')
      },
    ],
    ['while its mode changed', leaveHotJournal],
    [
      'before its table was made',
      () => {
        changeFile(file, 'PRAGMA journal_mode = WAL')
      },
    ],
  ])('%s says that it is empty, and why', (_, leave) => {
    leave()
    expect(() => openLedgerToRead(file)).toThrow(
      expect.objectContaining({
        code: 'LEDGER_MISSING',
        message: `the ledger ${file} is empty: the service ended before its first entry`,
      }),
    )
  })

  it('is told from a database of something else', () => {
    changeFile(file, 'CREATE TABLE something_else (a)')
    expect(() => openLedgerToRead(file)).toThrow(
      expect.objectContaining({ code: 'LEDGER_NOT_A_LEDGER' }),
    )
  })
})
