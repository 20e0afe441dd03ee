import type { Client } from 'pg'
import type { Clock } from '../base/clock.ts'
import { postgresName } from '../base/postgres-url.ts'
import { disconnect, type Waits } from '../database-access/connection.ts'
import type { ChainFault, Link, Row } from './chain.ts'
import { cutRowFrom, parseCut } from './cut.ts'
import { LedgerDatabaseError } from './ledger-database-error.ts'
import { asLedgerDatabaseError } from './ledger-database.ts'
import type { LedgerDatabase } from './ledger-database.ts'
import {
  asLedgerFileError,
  LedgerFileError,
  lockWaitMs,
  openLedgerToRead,
  readCut,
  rowsOfLedgerFile,
} from './ledger-file.ts'
import { claimLedger, fileIdentityOf } from './ledger-writer.ts'
import type { ClaimedLedger } from './ledger-writer.ts'
import { isSamePlace, putMoveMark, readMoveMark } from './move-mark.ts'
import type { MoveMark, MovePlace } from './move-mark.ts'
import type { ExportedUpTo } from './exported-up-to.ts'
import { putExportedUpTo } from './postgres-exported-up-to.ts'
import { putStanding } from './postgres-revocations.ts'
import { putUsedTokens } from './postgres-token-uses.ts'
import {
  beginAtTip,
  commitInDoubt,
  connectToWrite,
  insertBehind,
  isSameHash,
  isWarning,
} from './postgres-writer.ts'
import { putCut } from './prune-postgres.ts'
import { readEnd, readRows } from './read.ts'
import { readStanding } from './revocation-tables.ts'
import { usedTokensIn } from './token-use-table.ts'
import { verifyChain } from './verify.ts'
import type { Verification } from './verify.ts'

/** What there is of a chain: the entries behind what was pruned, up to this one. */
export interface HeldChain extends Link {
  /** The last entry that was pruned; 0 where none was. */
  readonly prunedUpTo: number
}

export type Move =
  | {
      readonly moved: true
      readonly when: 'now'
      /** What is in the file, and what the database holds now. */
      readonly source: HeldChain
      readonly target: HeldChain
      /** What went along; undefined: nothing says that anything was exported. */
      readonly exportedUpTo: ExportedUpTo | undefined
    }
  /** The database held it already, and the file may not have said so. */
  | {
      readonly moved: true
      readonly when: 'before'
      readonly source: HeldChain
      readonly target: HeldChain
    }
  /** It does not hold the last entry of the file. */
  | { readonly moved: false; readonly why: 'target-not-empty'; readonly tip: Link }
  /** The same, where a history of its own began before a move to there was finished. */
  | {
      readonly moved: false
      readonly why: 'target-began-anew'
      readonly tip: Link
      readonly mark: MoveMark
    }
  /** The file says that it goes on, or may go on, in a place that does not hold it or is not this one. */
  | { readonly moved: false; readonly why: 'source-moved'; readonly mark: MoveMark }
  | {
      readonly moved: false
      readonly why: 'source-broken'
      readonly intactUpTo: Link
      readonly fault: ChainFault
    }
  /** The database was told to commit, and whether it has is not known: the file takes no more entries until it is. */
  | { readonly moved: 'unknown'; readonly cause: LedgerDatabaseError }

export interface MoveDeps {
  /** Of the service that wrote the file; asked for when nobody writes it any more. Undefined: nothing was sent. */
  readonly readExportedUpTo: () => Promise<ExportedUpTo | undefined>
  readonly clock: Pick<Clock, 'nowMs'>
}

/** Nobody else is served meanwhile, so what takes long may. */
const waits: Waits = { connectMs: 10_000, lockMs: 10_000, answerMs: 60_000 }

/** Entries, or used tokens, that are in memory at a time. */
const pageRows = 1000

/**
 * Moves the ledger of a file into an empty one in PostgreSQL, entry by entry with the same hashes, and verifies the
 * chain as it goes; with it goes what is revoked, what caller tokens were used for, and how far entries were
 * exported. One transaction: all of it is there in the end, or nothing.
 *
 * The file keeps its entries, can be read, and takes no more of them. It says so before the database is told to
 * commit, and says where they go on when that is known. A move that was interrupted between the two is finished by
 * another one to the same place: where that holds the last entry of the file, with its hash, it holds the chain.
 *
 * @throws LedgerFileError when the file is missing, in use, cannot be written, or is something else.
 * @throws LedgerDatabaseError when the database cannot be used.
 */
export async function moveLedger(
  file: string,
  target: LedgerDatabase,
  deps: MoveDeps,
): Promise<Move> {
  const source = claimSource(file)
  try {
    const exportedUpTo = await deps.readExportedUpTo()
    const client = await connectToWrite(target, waits)
    try {
      return await move({ file, source, exportedUpTo, client, target, clock: deps.clock })
    } catch (error) {
      throw error instanceof LedgerFileError ? error : asLedgerDatabaseError(target, error)
    } finally {
      // Whatever is not committed by then is rolled back.
      await disconnect(client)
    }
  } finally {
    source.close()
  }
}

/** A ledger on its way, which nobody else writes on either side. */
interface MovingLedger extends Pick<MoveDeps, 'clock'> {
  readonly file: string
  readonly source: ClaimedLedger
  readonly exportedUpTo: ExportedUpTo | undefined
  readonly client: Client
  readonly target: LedgerDatabase
}

function claimSource(file: string): ClaimedLedger {
  // What is missing would be made; here it must be there.
  openLedgerToRead(file).close()
  const continues = fileIdentityOf(file)
  const source = claimLedger(file, { lockWaitMs, commitLockWaitMs: lockWaitMs, continues })
  if (source.tip.sequence > 0) return source
  source.close()
  throw new LedgerFileError('LEDGER_MISSING', `the ledger ${file} has no entries`)
}

async function move(moving: MovingLedger): Promise<Move> {
  const { file, source, client, target } = moving
  const before = await beginAtTip(client, target)
  const mark = asLedgerFileError(file, () => readMoveMark(source.db))
  if ((await holds(client, source.tip)) || (await goesBeyond(client, source.tip, file, mark))) {
    if (mark?.state === 'done') {
      return { moved: true, when: 'before', ...(await bothChains(moving, before)) }
    }
    // What is durable behind it shows that it is too: the commit before may have been in doubt.
    await client.query('UPDATE tip SET sequence = sequence')
    return finish(moving, 'before')
  }
  const isBegunHere = mark?.state === 'begun' && isSamePlace(mark.to, placeOf(target))
  if (before.sequence > 0) {
    return isBegunHere
      ? { moved: false, why: 'target-began-anew', tip: before, mark }
      : { moved: false, why: 'target-not-empty', tip: before }
  }
  if (mark !== undefined && !isBegunHere) return { moved: false, why: 'source-moved', mark }
  const copied = await copy(moving, before)
  return copied.ok ? finish(moving, 'now') : { moved: false, why: 'source-broken', ...copied }
}

/** An entry stands for all before it, so whoever has the last one has the chain; so does a cut that is made there. */
async function holds(client: Client, { sequence, hash }: Link): Promise<boolean> {
  const { rows } = await client.query<{ readonly hash: Buffer }>(
    'SELECT hash FROM entry WHERE sequence = $1',
    [sequence],
  )
  const cuts = await cutsOf(client)
  const there = [...rows, ...cuts.filter((row) => row.sequence === sequence)]
  return there.some((row) => isSameHash(row.hash, hash))
}

/**
 * Whether the database has pruned the last entry of the file, and goes on behind it. Then no hash shows that it was
 * there: a cut of the same ledger does, where the file has taken no entry since a move of it began.
 */
async function goesBeyond(
  client: Client,
  tip: Link,
  file: string,
  mark: MoveMark | undefined,
): Promise<boolean> {
  if (mark === undefined || !isSameHash(mark.tip.hash, tip.hash)) return false
  const ledger = asLedgerFileError(file, () => readEnd(file))?.ledger
  if (ledger === undefined) return false
  const cuts = await cutsOf(client)
  return cuts.some(
    (cut) => cut.sequence >= tip.sequence && parseCut(cut.canonical)?.ledger === ledger,
  )
}

async function cutsOf(client: Client): Promise<readonly Row[]> {
  const { rows } = await client.query<{ readonly statement: string }>('SELECT statement FROM cut')
  return rows.map(({ statement }) => cutRowFrom(Buffer.from(statement)))
}

async function copy(
  { file, exportedUpTo, client, target }: MovingLedger,
  begin: Link,
): Promise<Verification> {
  let tip = begin
  for (const page of pagesOf(rowsOfLedgerFile(file, readRows(file)))) {
    const [first] = page
    const verification = verifyChain(page, tip)
    if (!verification.ok) return verification
    if (first?.isCut === true) {
      await putCut(textOf(first), client)
      tip = first
    }
    const entries = page.filter(({ isCut }) => isCut !== true)
    tip = await insertBehind(tip, entries.map(textOf), client, target)
    if (!isSameHash(tip.hash, verification.tip.hash)) {
      // Bytes that are no UTF-8 verify as they are, and no text has them.
      throw new LedgerFileError(
        'LEDGER_UNREADABLE',
        `an entry of ${file} up to ${tip.sequence} is not UTF-8`,
      )
    }
  }
  await putBeside(file, client)
  if (exportedUpTo !== undefined) await putExportedUpTo(exportedUpTo, client)
  return { ok: true, tip }
}

/** Commits, between the two marks of the file. */
async function finish(moving: MovingLedger, when: 'now' | 'before'): Promise<Move> {
  const { source, client, target } = moving
  markSource(moving, 'begun')
  let stored: Link
  try {
    stored = await committed(client, target)
  } catch (error) {
    return { moved: 'unknown', cause: asLedgerDatabaseError(target, error) }
  }
  if (!holdsBehind(source.tip, stored)) {
    const cause = new LedgerDatabaseError(
      'LEDGER_REWOUND',
      `${postgresName(target.database)} has committed, and ends with another entry than the file`,
    )
    return { moved: 'unknown', cause }
  }
  markSource(moving, 'done')
  const chains = await bothChains(moving, stored)
  return when === 'now'
    ? { moved: true, when, ...chains, exportedUpTo: moving.exportedUpTo }
    : { moved: true, when, ...chains }
}

/** The database may have been pruned since, and further than the file. */
async function bothChains({ file, source: { db, tip }, client }: MovingLedger, target: Link) {
  const cut = asLedgerFileError(file, () => readCut(db))
  return {
    source: { ...tip, prunedUpTo: prunedUpTo(cut === undefined ? [] : [cut]) },
    target: { ...target, prunedUpTo: prunedUpTo(await cutsOf(client)) },
  }
}

/** What is no cut has no sequence. */
const prunedUpTo = (cuts: readonly Row[]) =>
  cuts.find(({ sequence }) => Number.isSafeInteger(sequence))?.sequence ?? 0

/** Services may have gone on there since, and nobody may have gone back. */
const holdsBehind = (source: Link, target: Link): boolean =>
  target.sequence > source.sequence ||
  (target.sequence === source.sequence && isSameHash(target.hash, source.hash))

/** Read back. */
async function committed(client: Client, target: LedgerDatabase): Promise<Link> {
  const warnings: string[] = []
  client.on('notice', (notice) => {
    if (isWarning(notice)) warnings.push(String(notice.message))
  })
  await client.query('COMMIT')
  const [warning] = warnings
  if (warning !== undefined) throw commitInDoubt(target, warning)
  return beginAtTip(client, target)
}

function markSource({ file, source, target, clock }: MovingLedger, state: MoveMark['state']): void {
  const { db, tip } = source
  try {
    putMoveMark(db, { state, to: placeOf(target), tip, atMs: clock.nowMs() })
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new LedgerFileError(
      'LEDGER_UNREADABLE',
      `${file} cannot be marked as moved (${reason}): see to that, and run this again`,
      { cause },
    )
  }
}

const placeOf = ({ database, schema }: LedgerDatabase): MovePlace => ({
  database: postgresName(database),
  schema,
})

/** What stands beside the chain. */
async function putBeside(file: string, client: Client): Promise<void> {
  const db = openLedgerToRead(file)
  try {
    const standing = asLedgerFileError(file, () => readStanding(db))
    await putStanding(standing, client)
    const usedTokens = rowsOfLedgerFile(file, usedTokensIn(db))
    for (const page of pagesOf(usedTokens)) await putUsedTokens(page, client)
  } finally {
    db.close()
  }
}

const textOf = ({ canonical }: Row) => Buffer.from(canonical).toString()

function* pagesOf<R>(rows: Iterable<R>): Generator<readonly R[], void, undefined> {
  let page: R[] = []
  for (const row of rows) {
    page.push(row)
    if (page.length < pageRows) continue
    yield page
    page = []
  }
  if (page.length > 0) yield page
}
