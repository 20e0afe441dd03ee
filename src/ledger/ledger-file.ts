import { accessSync, constants, existsSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { pathToFileURL } from 'node:url'
import type { Row } from './chain.ts'
import { cutRowFrom } from './cut.ts'

/**
 * The SQLite file of a ledger: one table of canonical entries and their hashes, in WAL mode, so that
 * it can be read while the service writes it.
 */

/** `CSLG`: tells a ledger from any other SQLite file. */
const applicationId = 0x43534c47
/** Earlier ones are read as they are, and extended by whoever writes them. */
const schemaVersion = 5
const schemaVersionMin = 1
/** Since when there are tables for them. */
const revocationsSince = 2
const tokenUsesSince = 3
/** Where something was pruned: a program that does not know of it would take the rest for broken. */
const cutSince = 4
/** Where it was moved away: a program that does not know of it would begin a second history. */
const moveMarkSince = 5

/** Beside the chain, so that nothing which is done to that takes a revocation away. */
const revocationTables = `
  CREATE TABLE revocation (
    id TEXT PRIMARY KEY,
    epoch INTEGER NOT NULL,
    made TEXT NOT NULL
  ) STRICT;
  CREATE TABLE revocation_epoch (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    epoch INTEGER NOT NULL
  ) STRICT;
  INSERT INTO revocation_epoch (one, epoch) VALUES (1, 0);
  PRAGMA user_version = ${revocationsSince};
`

/** Beside the chain too: what is kept for minutes is no entry, and is changed with the entries that it is for. */
const tokenUseTable = `
  CREATE TABLE token_use (
    token_id TEXT PRIMARY KEY,
    purpose TEXT NOT NULL,
    uses INTEGER NOT NULL,
    forget_at_seconds INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX token_use_forgotten ON token_use (forget_at_seconds);
  PRAGMA user_version = ${tokenUsesSince};
`

/** Beside the chain, because it begins with it: made when something is pruned, and not before. */
const cutTable = `
  CREATE TABLE cut (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    statement TEXT NOT NULL
  ) STRICT;
  PRAGMA user_version = ${cutSince};
`

/** What says where the chain goes on: made when the ledger is moved, and not before. */
const moveMarkTable = `
  CREATE TABLE moved (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    state TEXT NOT NULL CHECK (state IN ('begun', 'done')),
    to_database TEXT NOT NULL,
    to_schema TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    hash BLOB NOT NULL,
    at_ms INTEGER NOT NULL
  ) STRICT;
  PRAGMA user_version = ${moveMarkSince};
`

/** Text, so that people can read it with any SQLite tool; its UTF-8 bytes are what is hashed. */
const schema = `
  CREATE TABLE entry (
    sequence INTEGER PRIMARY KEY,
    hash BLOB NOT NULL,
    canonical TEXT NOT NULL
  ) STRICT;
  PRAGMA application_id = ${applicationId};
  ${revocationTables}
  ${tokenUseTable}
`

/** How long another process may keep the file locked: a service that just closes, a tool of the operator. */
export const lockWaitMs = 2000

/** What {@link rowFrom} reads; `CAST` because the bytes count. */
export const rowColumns = 'sequence, hash, CAST(canonical AS BLOB) AS canonical'

/** Why a ledger file cannot be opened: one code for each thing that an operator does about it. */
export type LedgerFileErrorCode =
  | 'LEDGER_MISSING' // nothing is to be read: no such file, or one that was never begun
  | 'LEDGER_IN_USE' // another process writes it
  | 'LEDGER_NOT_A_LEDGER' // some other file
  | 'LEDGER_VERSION_UNKNOWN' // written by another version of the program
  | 'LEDGER_TIP_BROKEN' // its last entry does not verify
  | 'LEDGER_MOVED' // it goes on in a database
  | 'LEDGER_MOVE_UNFINISHED' // it may go on in a database
  | 'LEDGER_PRUNED' // while it was read: what was read is of no use
  | 'LEDGER_UNREADABLE' // the file or its folder does not let us

/** The message is one sentence for the operator, and names the file. */
export class LedgerFileError extends Error {
  override readonly name = 'LedgerFileError'
  readonly code: LedgerFileErrorCode

  constructor(code: LedgerFileErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

/**
 * Opens a ledger to read it: while the service writes it, after the service was killed, or as a copy
 * in a folder where nothing may be written.
 *
 * @throws LedgerFileError
 */
export function openLedgerToRead(file: string): DatabaseSync {
  if (!existsSync(file)) throw new LedgerFileError('LEDGER_MISSING', `there is no file ${file}`)
  return asLedgerFileError(file, () => {
    const db = new DatabaseSync(locationToRead(file), { readOnly: true, timeout: lockWaitMs })
    try {
      assertNotBlank(db, file)
      assertLedger(db, file)
      return db
    } catch (error) {
      db.close()
      throw error
    }
  })
}

/**
 * A reader in WAL mode wants to create `-shm` beside the file. Where it may not, a file without
 * `-wal` was closed in order and is all there is: `immutable` says so.
 */
function locationToRead(file: string): string | URL {
  if (existsSync(`${file}-wal`) || mayWrite(dirname(file))) return file
  const location = pathToFileURL(file)
  location.searchParams.set('immutable', '1')
  return location
}

function mayWrite(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK)
    return true
  } catch {
    return false
  }
}

/** What a process leaves that dies in its first moments: a file of no bytes, or of a header alone. */
function assertNotBlank(db: DatabaseSync, file: string): void {
  if (isInterruptedStart(file) || isBlank(db)) {
    throw new LedgerFileError(
      'LEDGER_MISSING',
      `the ledger ${file} is empty: the service ended before its first entry`,
    )
  }
}

/** SQLite's default; the first page has no room for the table. */
const pageBytes = 4096

/**
 * Only the change to WAL mode, the first of all, has a rollback journal. A reader may not roll it back,
 * and would be told that the database is read-only.
 */
const isInterruptedStart = (file: string): boolean =>
  existsSync(`${file}-journal`) && statSync(file).size <= pageBytes

/** Nothing was ever put into it, by us or by anybody. */
const isBlank = (db: DatabaseSync): boolean =>
  pragma(db, 'application_id') === 0 &&
  db.prepare('SELECT 1 FROM sqlite_schema').get() === undefined

/** Gives an empty file its schema; a file that has one keeps it. */
export function ensureSchema(db: DatabaseSync): void {
  if (isBlank(db)) db.exec(`BEGIN IMMEDIATE; ${schema} COMMIT`)
}

/** Brings a ledger of an earlier release up to this one. */
export function extendSchema(db: DatabaseSync): void {
  if (!hasRevocations(db)) db.exec(`BEGIN IMMEDIATE; ${revocationTables} COMMIT`)
  if (!hasTokenUses(db)) db.exec(`BEGIN IMMEDIATE; ${tokenUseTable} COMMIT`)
}

/** Whether it has tables for them. */
export const hasRevocations = (db: DatabaseSync): boolean =>
  pragma(db, 'user_version') >= revocationsSince

export const hasTokenUses = (db: DatabaseSync): boolean =>
  pragma(db, 'user_version') >= tokenUsesSince

/** What stands for the entries that were pruned; undefined where none were. */
export function readCut(db: DatabaseSync): Row | undefined {
  if (pragma(db, 'user_version') < cutSince) return undefined
  const statement = db.prepare('SELECT CAST(statement AS BLOB) AS statement FROM cut').get()?.[
    'statement'
  ]
  return statement instanceof Uint8Array ? cutRowFrom(statement) : undefined
}

/** Puts one there, in the transaction that removes what it stands for. */
export function putCut(db: DatabaseSync, canonical: string): void {
  makeCutTable(db)
  db.prepare('INSERT OR REPLACE INTO cut (one, statement) VALUES (1, ?)').run(canonical)
}

function makeCutTable(db: DatabaseSync): void {
  if (pragma(db, 'user_version') < cutSince) db.exec(cutTable)
}

/** Whether it has a table for a move. */
export const hasMoveMark = (db: DatabaseSync): boolean =>
  pragma(db, 'user_version') >= moveMarkSince

/** In a transaction; programs of earlier releases refuse the file from then on. */
export function makeMoveMarkTable(db: DatabaseSync): void {
  if (hasMoveMark(db)) return
  makeCutTable(db)
  db.exec(moveMarkTable)
}

/** @throws LedgerFileError when the file is not a ledger, or one of a later version. */
export function assertLedger(db: DatabaseSync, file: string): void {
  if (pragma(db, 'application_id') !== applicationId) throw notALedger(file)
  const version = pragma(db, 'user_version')
  if (version < schemaVersionMin || version > schemaVersion) {
    throw new LedgerFileError(
      'LEDGER_VERSION_UNKNOWN',
      `${file} is a ledger of version ${version} and this program reads version ${schemaVersion}`,
    )
  }
}

/** The row that `rowColumns` selects. */
export function rowFrom(columns: Record<string, unknown>): Row {
  const { sequence, hash, canonical } = columns
  if (
    typeof sequence !== 'number' ||
    !(hash instanceof Uint8Array) ||
    !(canonical instanceof Uint8Array)
  ) {
    throw new TypeError('the table has other columns than the schema')
  }
  return { sequence, hash, canonical }
}

function pragma(db: DatabaseSync, name: string): number {
  return Number(db.prepare(`PRAGMA ${name}`).get()?.[name])
}

/** SQLite's primary result codes (https://sqlite.org/rescode.html). */
export const sqliteBusy = 5
const sqliteNotADatabase = 26

/** SQLite's primary result code; undefined when the error is not SQLite's. */
export function sqliteCode(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('errcode' in error)) return undefined
  return typeof error.errcode === 'number' ? error.errcode & 0xff : undefined
}

/** What `act` returns; what it throws as a LedgerFileError. */
export function asLedgerFileError<T>(file: string, act: () => T): T {
  try {
    return act()
  } catch (error) {
    throw ledgerFileErrorFrom(file, error)
  }
}

/** The same of rows that are read one after the other. */
export function* rowsOfLedgerFile<R>(
  file: string,
  rows: Iterable<R>,
): Generator<R, void, undefined> {
  try {
    yield* rows
  } catch (error) {
    throw ledgerFileErrorFrom(file, error)
  }
}

function ledgerFileErrorFrom(file: string, error: unknown): LedgerFileError {
  if (error instanceof LedgerFileError) return error
  if (sqliteCode(error) === sqliteNotADatabase) return notALedger(file, error)
  const reason = error instanceof Error ? error.message : String(error)
  return new LedgerFileError('LEDGER_UNREADABLE', `${file} cannot be opened: ${reason}`, {
    cause: error,
  })
}

const notALedger = (file: string, cause?: unknown) =>
  new LedgerFileError('LEDGER_NOT_A_LEDGER', `${file} is not a ledger of Countersign`, { cause })
