import { accessSync, closeSync, constants, openSync, realpathSync, statSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { canonicalEntry, chainFault, chainHash, genesis } from './chain.ts'
import type { Link } from './chain.ts'
import { canonicalCut, type Cut, prunedEntry } from './cut.ts'
import {
  asLedgerFileError,
  assertLedger,
  ensureSchema,
  extendSchema,
  LedgerFileError,
  putCut,
  rowColumns,
  rowFrom,
  sqliteBusy,
  sqliteCode,
} from './ledger-file.ts'
import { assertNotMoved } from './move-mark.ts'
import { changeStanding, readStanding } from './revocation-tables.ts'
import type { RevocationChange, StandingRevocations } from './standing-revocations.ts'
import type { TokenUse, UseAnswer } from './token-use.ts'
import { createTokenUseTable, type TakingTerms } from './token-use-table.ts'

/**
 * The one writer of a ledger file, synchronous. After a throw it is of no more use than to be closed:
 * what the last commit left behind is known only by opening the file again.
 */
export interface LedgerWriter {
  /** When the file was opened. */
  readonly standing: StandingRevocations
  /** Caller tokens whose uses are remembered. */
  readonly tokensRemembered: number
  /**
   * Chains and stores the canonical entries in one commit, with what they change of what stands and the
   * uses that they take, but for those that do not get theirs; synced to the disk when this returns.
   *
   * @returns The answers to the uses, in their order.
   */
  append(
    canonicalEntries: readonly Uint8Array[],
    changes: readonly RevocationChange[],
    taking: Taking,
  ): readonly UseAnswer[]
  /**
   * Removes the entries up to a cut, and appends what tells of it: all of that in one commit, synced when this
   * returns.
   *
   * @throws LedgerFileError when the entry that the cut names is not there with its hash.
   */
  prune(cut: Cut): void
  /** Gives room that is free in the file back to the disk, which needs as much again meanwhile. */
  shrink(): void
  close(): void
}

/** The uses that entries of one commit take. */
export interface Taking extends TakingTerms {
  readonly uses: readonly UseOfEntries[]
}

/** Entries that are stored only if they get their use. */
export interface UseOfEntries {
  readonly tokenUse: TokenUse
  /** Index of the first one in the commit, and how many they are. */
  readonly first: number
  readonly count: number
}

export interface LedgerWriterOptions {
  /** How long opening waits for another program to let go of the file: for a service that just closes. */
  readonly lockWaitMs: number
  /** How long a commit waits for a write lock: SQLite waits before it begins, so nothing is in doubt. */
  readonly commitLockWaitMs: number
  /** The file that was written until now: no other, and no new one, will do. Absent at the first opening. */
  readonly continues?: FileIdentity | undefined
}

/** Which file it is, whatever its path: what is removed or replaced is another one. */
export interface FileIdentity {
  readonly device: number
  readonly inode: number
}

/** Looks at the file without opening it; undefined when there is none. */
export function fileIdentityOf(file: string): FileIdentity | undefined {
  const stats = statSync(file, { throwIfNoEntry: false })
  return stats && { device: stats.dev, inode: stats.ino }
}

function assertSameFile(file: string, expected: FileIdentity | undefined): void {
  const now = fileIdentityOf(file)
  if (now?.device === expected?.device && now?.inode === expected?.inode) return
  throw new LedgerFileError(
    'LEDGER_MISSING',
    `the ledger ${file} was removed or replaced while it was written: put it back, or start the service anew`,
  )
}

/**
 * Opens the file, or creates it readable by its owner alone (an existing one keeps the mode that the
 * operator gave it).
 *
 * @throws LedgerFileError when another process writes it, it was moved away, or its tip does not verify.
 */
export function openLedgerWriter(file: string, options: LedgerWriterOptions): LedgerWriter {
  const claimed = claimLedger(file, options)
  try {
    return asLedgerFileError(file, () => {
      assertNotMoved(claimed.db, file)
      return writerFrom(claimed)
    })
  } catch (error) {
    claimed.close()
    throw error
  }
}

/** A file that nobody else writes until it is closed. */
export interface ClaimedLedger {
  readonly db: DatabaseSync
  /** Verified. */
  readonly tip: Link
  /** Of the file itself, whatever links lead to it. */
  readonly path: string
  readonly close: () => void
}

/**
 * The same for whoever has something else to do than to append: also to one that was moved away.
 *
 * @throws LedgerFileError
 */
export function claimLedger(file: string, options: LedgerWriterOptions): ClaimedLedger {
  return asLedgerFileError(file, () => {
    if (options.continues === undefined) createForOwner(file)
    else assertSameFile(file, options.continues)
    const path = realpathSync(file)
    // SQLite opens what it may not write all the same, and would tell at the first entry.
    accessSync(path, constants.W_OK)
    const claim = claimFile(`${path}-writer`, file, options.lockWaitMs)
    try {
      const { db, tip } = openAtTip(path, file, options)
      return {
        db,
        tip,
        path,
        close: () => {
          // First the file, then the claim: the next writer must find the file as this one leaves it.
          db.close()
          claim.close()
        },
      }
    } catch (error) {
      claim.close()
      throw error
    }
  })
}

/**
 * Never opens a file that exists: POSIX drops all locks of a process on a file as soon as the process
 * closes any descriptor of it, so that would undo the locks of a ledger that this process has open.
 */
function createForOwner(file: string): void {
  try {
    closeSync(openSync(file, 'wx', 0o600))
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
  }
}

/**
 * Exclusive use, as an exclusive transaction on an empty file beside the ledger: SQLite's lock ends
 * with the process however it dies, and leaves the ledger itself open to readers.
 */
function claimFile(claimPath: string, file: string, lockWaitMs: number): DatabaseSync {
  createForOwner(claimPath)
  const claim = new DatabaseSync(claimPath, { timeout: lockWaitMs })
  try {
    // Nothing is ever written to it, so it needs no journal that a crash would leave behind.
    claim.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE')
    return claim
  } catch (error) {
    claim.close()
    if (sqliteCode(error) !== sqliteBusy) throw error
    throw new LedgerFileError('LEDGER_IN_USE', `another process is writing the ledger ${file}`, {
      cause: error,
    })
  }
}

function openAtTip(
  path: string,
  file: string,
  { lockWaitMs, commitLockWaitMs }: LedgerWriterOptions,
): { db: DatabaseSync; tip: Link } {
  const db = new DatabaseSync(path, { timeout: lockWaitMs })
  try {
    db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL')
    ensureSchema(db)
    assertLedger(db, file)
    extendSchema(db)
    const tip = verifiedTip(db, file)
    db.exec(`PRAGMA busy_timeout = ${commitLockWaitMs}`)
    return { db, tip }
  } catch (error) {
    db.close()
    throw error
  }
}

/** The cheap check: the last entry continues the one before it. Only `verifyChain` looks at all of them. */
function verifiedTip(db: DatabaseSync, file: string): Link {
  const select = db.prepare(`SELECT ${rowColumns} FROM entry ORDER BY sequence DESC LIMIT 2`)
  const [last, beforeLast] = select.all().map(rowFrom)
  if (last === undefined) return genesis
  if (chainFault(beforeLast ?? genesis, last) === undefined) return last
  throw new LedgerFileError(
    'LEDGER_TIP_BROKEN',
    `the last entry (${last.sequence}) of the ledger ${file} does not verify: it was changed outside of Countersign`,
  )
}

function writerFrom({ db, tip: openedAt, path, close }: ClaimedLedger): LedgerWriter {
  const identity = fileIdentityOf(path)
  const insert = db.prepare(
    'INSERT INTO entry (sequence, hash, canonical) VALUES (?, ?, CAST(? AS TEXT))',
  )
  const tokenUses = createTokenUseTable(db)
  let tip = openedAt

  const insertAfter = ({ sequence, hash }: Link, canonical: Uint8Array): Link => {
    const next = { sequence: sequence + 1, hash: chainHash(hash, canonical) }
    insert.run(next.sequence, next.hash, canonical)
    return next
  }
  return {
    standing: readStanding(db),
    get tokensRemembered() {
      return tokenUses.tokens
    },
    append(canonicalEntries, changes, { uses, ...terms }) {
      // A file without a name takes entries too, and nobody will ever read them.
      assertSameFile(path, identity)
      db.exec('BEGIN IMMEDIATE')
      const wanted = uses.map(({ tokenUse }) => tokenUse)
      const answers = tokenUses.take(wanted, terms)
      const next = withoutDenied(canonicalEntries, uses, answers).reduce(insertAfter, tip)
      changeStanding(db, changes)
      db.exec('COMMIT')
      tip = next
      return answers
    },
    prune(cut) {
      assertSameFile(path, identity)
      db.exec('BEGIN IMMEDIATE')
      const last = db.prepare('SELECT hash FROM entry WHERE sequence = ?').get(cut.sequence)?.[
        'hash'
      ]
      const isThere =
        last instanceof Uint8Array && Buffer.compare(last, Buffer.from(cut.hash, 'base64url')) === 0
      if (!isThere) throw notPrunable(path, cut.sequence)
      db.prepare('DELETE FROM entry WHERE sequence <= ?').run(cut.sequence)
      putCut(db, canonicalCut(cut))
      const next = insertAfter(tip, Buffer.from(canonicalEntry(prunedEntry(cut))))
      db.exec('COMMIT')
      tip = next
    },
    shrink() {
      db.exec('VACUUM; PRAGMA wal_checkpoint(TRUNCATE)')
    },
    close,
  }
}

const notPrunable = (file: string, sequence: number) =>
  new LedgerFileError(
    'LEDGER_PRUNED',
    `${file} has no such entry ${sequence} any more: it was pruned or replaced meanwhile`,
  )

function withoutDenied(
  canonicalEntries: readonly Uint8Array[],
  uses: readonly UseOfEntries[],
  answers: readonly UseAnswer[],
): readonly Uint8Array[] {
  const denied = uses.filter((_, index) => answers[index]?.ok === false)
  if (denied.length === 0) return canonicalEntries
  const left = new Set(canonicalEntries.keys())
  for (const { first, count } of denied) {
    for (let index = first; index < first + count; index += 1) left.delete(index)
  }
  return canonicalEntries.filter((_, index) => left.has(index))
}
