import type { DatabaseSync } from 'node:sqlite'
import { isMomentMs, isoTimeFrom } from '../base/clock.ts'
import type { Link } from './chain.ts'
import {
  asLedgerFileError,
  hasMoveMark,
  LedgerFileError,
  makeMoveMarkTable,
  openLedgerToRead,
} from './ledger-file.ts'

/**
 * What says in a ledger's file that its chain goes on in PostgreSQL. Whoever would write the file refuses it from
 * then on: two that go on behind one entry are two histories of one deployment.
 */
export interface MoveMark {
  /**
   * `begun`: made before the database is told to commit, so that nothing which happens then leaves two that may be
   * written. Whether the database holds the chain is not known.
   */
  readonly state: 'begun' | 'done'
  readonly to: MovePlace
  /** The last entry of the file. */
  readonly tip: Link
  /** Milliseconds since the Unix epoch, by the clock of who moved it. */
  readonly atMs: number
}

export interface MovePlace {
  /** Without role and password: `postgres://db.contoso.example:5432/ledger`. */
  readonly database: string
  readonly schema: string
}

/** As messages name it. */
export const nameOfPlace = ({ database, schema }: MovePlace): string =>
  `${database} (schema ${schema})`

export const isSamePlace = (a: MovePlace, b: MovePlace): boolean =>
  a.database === b.database && a.schema === b.schema

/**
 * Undefined of a file that goes on itself.
 *
 * @throws LedgerFileError when it cannot be opened.
 */
export function moveMarkOf(file: string): MoveMark | undefined {
  const db = openLedgerToRead(file)
  try {
    return asLedgerFileError(file, () => readMoveMark(db))
  } finally {
    db.close()
  }
}

/**
 * The same for whoever has more to say of the file than this: `damaged` where what would say so cannot be read, or
 * says nothing that a move does.
 *
 * @throws LedgerFileError when it cannot be opened.
 */
export function findMoveMark(file: string): MoveMark | 'damaged' | undefined {
  const db = openLedgerToRead(file)
  try {
    return readMoveMark(db)
  } catch {
    return 'damaged'
  } finally {
    db.close()
  }
}

/** @throws Error when it is damaged; SQLite's own for a damaged page, or a table that is not there. */
export function readMoveMark(db: DatabaseSync): MoveMark | undefined {
  const row = hasMoveMark(db) ? db.prepare('SELECT * FROM moved').get() : undefined
  return row && markFrom(row)
}

/** Synced to the disk when this returns. */
export function putMoveMark(db: DatabaseSync, { state, to, tip, atMs }: MoveMark): void {
  db.exec('BEGIN IMMEDIATE')
  try {
    makeMoveMarkTable(db)
    db.prepare(
      `INSERT OR REPLACE INTO moved (one, state, to_database, to_schema, sequence, hash, at_ms)
       VALUES (1, ?, ?, ?, ?, ?, ?)`,
    ).run(state, to.database, to.schema, tip.sequence, tip.hash, atMs)
    db.exec('COMMIT')
  } catch (error) {
    if (db.isTransaction) db.exec('ROLLBACK')
    throw error
  }
}

/** @throws LedgerFileError that says where it goes on, and what to do. */
export function assertNotMoved(db: DatabaseSync, file: string): void {
  const mark = readMoveMark(db)
  if (mark === undefined) return
  const code = mark.state === 'done' ? 'LEDGER_MOVED' : 'LEDGER_MOVE_UNFINISHED'
  throw new LedgerFileError(code, moveText(file, mark))
}

/** One sentence for the operator. */
export const moveText = (file: string, { state, to, tip, atMs }: MoveMark): string =>
  state === 'done'
    ? `the ledger ${file} was moved to ${nameOfPlace(to)} on ${isoTimeFrom(atMs)} and goes on there behind entry ${tip.sequence}: name that one under "ledger" in the configuration, and keep this file as evidence`
    : `a move of the ledger ${file} to ${nameOfPlace(to)} began on ${isoTimeFrom(atMs)}, and whether it goes on there is not known: run "countersign ledger migrate" from this file to there again, which finishes it`

function markFrom(columns: Record<string, unknown>): MoveMark {
  const { state, to_database: database, to_schema: schema, sequence, hash, at_ms: atMs } = columns
  if (
    (state !== 'begun' && state !== 'done') ||
    typeof database !== 'string' ||
    typeof schema !== 'string' ||
    typeof sequence !== 'number' ||
    typeof atMs !== 'number' ||
    !isMomentMs(atMs) ||
    !(hash instanceof Uint8Array)
  ) {
    throw new Error('what says that it was moved is damaged')
  }
  return { state, to: { database, schema }, tip: { sequence, hash }, atMs }
}
