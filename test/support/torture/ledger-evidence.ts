import { hash } from 'node:crypto'
import { copyFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { Entry } from '../../../src/ledger/entry.ts'
import { query } from '../postgres.ts'

/**
 * A ledger as a stranger reads it, who knows the design and none of the code: the entries are the
 * canonical texts in order, each with SHA-256 over the hash before it and its own bytes.
 */
export interface LedgerEvidence {
  readonly entries: readonly Entry[]
  /** Of each entry, hex: what a later reading must begin with. */
  readonly hashes: readonly string[]
  /** What is wrong with the chain; empty when it holds. */
  readonly faults: readonly string[]
}

interface StoredEntry {
  readonly sequence: number
  readonly hash: Uint8Array
  readonly canonical: Uint8Array
}

/** Nothing where there is no file yet, or a process died before it had made the table. */
export const readLedger = (file: string): LedgerEvidence => evidenceFrom(storedEntries(file))

/** Of a ledger in PostgreSQL, whose tip has to be its last entry besides. */
export async function readLedgerAt(url: string): Promise<LedgerEvidence> {
  // One statement, so one moment.
  const rows: unknown = await query(
    url,
    `SELECT sequence::float8 AS sequence, hash, convert_to(canonical, 'UTF8') AS canonical,
            (SELECT hash FROM countersign.tip) AS tip
     FROM countersign.entry ORDER BY sequence`,
  )
  return evidenceToTip(rows as readonly (StoredEntry & { readonly tip: Uint8Array })[])
}

function evidenceToTip(rows: readonly (StoredEntry & { readonly tip: Uint8Array })[]) {
  const evidence = evidenceFrom(rows)
  const last = rows.at(-1)
  if (last === undefined || hexOf(last.tip) === hexOf(last.hash)) return evidence
  return { ...evidence, faults: [...evidence.faults, 'the tip is not the last entry'] }
}

function evidenceFrom(rows: readonly StoredEntry[]): LedgerEvidence {
  const faults: string[] = []
  let previous: Uint8Array = new Uint8Array(32)
  for (const [index, row] of rows.entries()) {
    const expected = hash('sha256', Buffer.concat([previous, row.canonical]), 'hex')
    if (row.sequence !== index + 1) faults.push(`entry ${row.sequence} stands at ${index + 1}`)
    if (hexOf(row.hash) !== expected) faults.push(`entry ${row.sequence} does not hash to its hash`)
    previous = row.hash
  }
  return {
    entries: rows.map(({ canonical }) => JSON.parse(Buffer.from(canonical).toString()) as Entry),
    hashes: rows.map((row) => hexOf(row.hash)),
    faults,
  }
}

const hexOf = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')

/**
 * Reads a copy: who opens a file that a killed process has left mends it, and nothing here may touch
 * what is judged.
 */
function storedEntries(file: string): readonly StoredEntry[] {
  if (!existsSync(file)) return []
  const folder = mkdtempSync(`${file}-copy-`)
  try {
    const copy = join(folder, 'copy.db')
    for (const suffix of ['', '-wal', '-journal']) {
      if (existsSync(file + suffix)) copyFileSync(file + suffix, copy + suffix)
    }
    return entriesIn(copy)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

function entriesIn(file: string): readonly StoredEntry[] {
  const database = new DatabaseSync(file)
  try {
    const table = database.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'entry'").get()
    if (table === undefined) return []
    const select = database.prepare(
      'SELECT sequence, hash, CAST(canonical AS BLOB) AS canonical FROM entry ORDER BY sequence',
    )
    return select.all() as unknown[] as readonly StoredEntry[]
  } finally {
    database.close()
  }
}

/** What an earlier reading has that this one has not: an entry that was durable and is gone. */
export function lostSince(earlier: LedgerEvidence, now: LedgerEvidence): readonly string[] {
  const length = earlier.hashes.length
  const tip = earlier.hashes.at(-1)
  return now.hashes[length - 1] === tip ? [] : [`entry ${length} was durable and is gone`]
}

/** Keeps everybody from writing into the ledger until it is disposed of. */
export function holdLedger(file: string): Disposable {
  const database = new DatabaseSync(file, { timeout: 5000 })
  database.exec('BEGIN IMMEDIATE')
  return {
    [Symbol.dispose]: () => {
      database.close()
    },
  }
}
