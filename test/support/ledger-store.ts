import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { Entry } from '../../src/ledger/entry.ts'
import { readRows } from '../../src/ledger/read.ts'
import { createSqliteLedger } from '../../src/ledger/sqlite-ledger.ts'
import { verifyChain } from '../../src/ledger/verify.ts'
import type { LedgerStore } from '../contract/ledger.contract.ts'

/** What the contract asks for, at once: a file needs no waiting for. */
export interface SqliteStore extends LedgerStore {
  readonly file: string
  entries(): readonly Entry[]
  breakWrites(): void
  mendWrites(): void
  remove(): void
}

/** A ledger file in a folder of its own. */
export function createSqliteStore(): SqliteStore {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-ledger-'))
  const file = join(folder, 'countersign.db')
  return {
    file,
    open: (waitingEntriesMax, onRevocations) =>
      createSqliteLedger({
        file,
        ...(onRevocations === undefined ? {} : { onRevocations }),
        ...(waitingEntriesMax === undefined ? {} : { waitingEntriesMax }),
      }),
    entries: () => verifiedEntries(file),
    breakWrites: () => {
      changeFile(
        file,
        `CREATE TRIGGER full BEFORE INSERT ON entry
         BEGIN SELECT RAISE(FAIL, 'database or disk is full'); END`,
      )
    },
    mendWrites: () => {
      changeFile(file, 'DROP TRIGGER full')
    },
    remove: () => {
      rmSync(folder, { recursive: true })
    },
  }
}

/** Every entry of a ledger file whose chain verifies. */
export function verifiedEntries(file: string): readonly Entry[] {
  const rows = [...readRows(file)]
  const verification = verifyChain(rows)
  if (!verification.ok) throw new Error(`the chain is broken: ${JSON.stringify(verification)}`)
  return rows.map((row) => JSON.parse(Buffer.from(row.canonical).toString()) as Entry)
}

/** What somebody does to the file behind the ledger's back. */
export function changeFile(file: string, sql: string): void {
  const db = new DatabaseSync(file, { timeout: 30_000 })
  try {
    db.exec(sql)
  } finally {
    db.close()
  }
}
