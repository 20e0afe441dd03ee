import { type Clock, parseIsoTime } from '../base/clock.ts'
import { settlesWithin } from '../base/deadline.ts'
import { DatabaseAccessError } from '../database-access/database-access-error.ts'
import { chainFault, type Link, type Row } from '../ledger/chain.ts'
import { LedgerFileError } from '../ledger/ledger-file.ts'
import type { LedgerTail } from '../ledger/ledger-tail.ts'
import { type EntryRow, entryRowFrom } from './entry-row.ts'
import type { ExportCursor } from './export-cursor.ts'
import { ExportError, type LogDestination } from './log-destination.ts'

/**
 * Sends the entries of the ledger to where they are searched. The ledger itself is the queue: what was not sent
 * is read again, however long the other side was away and however often the process began anew, and nothing
 * that issues waits for any of it.
 *
 * Each entry arrives at least once, in order, and mostly once; the same row has the same id.
 */
export interface EntryExport {
  /**
   * Sends what there is, unless it is another replica's turn or a failure was a moment ago. Never twice at once.
   *
   * @throws what is a mistake of ours; failures of others are events.
   */
  look(): Promise<void>
  /** Leaves off with what is under way: it is sent again later. */
  leaveOff(): void
  /**
   * Sends the last entries of a run, and gives the turn to whoever comes next, for as long as that takes and no
   * longer than given. Where the turn could not be given back it ends by itself.
   */
  finish(timeoutMs: number): Promise<void>
}

/** Why rows were not sent. */
export type ExportFailure = ExportError | DatabaseAccessError | LedgerFileError

/** The oldest entry that has not arrived. */
export interface UnsentEntry {
  readonly sequence: number
  /** When it was written, milliseconds since the Unix epoch. */
  readonly sinceMs: number
}

export interface ExportEvents {
  /** From this entry on they are still to be sent. */
  waiting(from: UnsentEntry): void
  /** Rows have arrived, up to this entry. */
  sent(rows: number, upTo: Link): void
  /** Nothing is left to send. */
  caughtUp(): void
  /** It is another replica's turn. */
  elsewhere(): void
  failed(error: ExportFailure, retryInMs: number): void
  /** The ledger is not the one that was sent so far: it was restored, replaced or cut. All of it is sent. */
  beganAnew(sentUpTo: Link): void
}

export interface EntryExportDeps {
  readonly tail: LedgerTail
  readonly cursor: ExportCursor
  readonly destination: LogDestination
  /** See {@link entryRowFrom}. */
  readonly deployment: string
  readonly clock: Pick<Clock, 'monotonicMs'>
  /** 0 to 1, as `Math.random` gives it. */
  readonly random: () => number
  readonly events: ExportEvents
}

/** Some 600 KB, and some milliseconds of this thread. */
const pageRows = 500
/** Then others have their turn of the loop, and the clock is looked at. */
const pagesPerLook = 20
const firstPauseMs = 2000
const longestPauseMs = 300_000

export function createEntryExport(deps: EntryExportDeps): EntryExport {
  const { clock, random, events } = deps
  let stop = new AbortController()
  let failures = 0
  let notBeforeMs = Number.NEGATIVE_INFINITY
  let running: Promise<void> | undefined

  const run = async () => {
    try {
      await follow(deps, stop.signal)
      failures = 0
    } catch (error) {
      if (!isFailure(error)) throw error
      if (stop.signal.aborted) return
      const retryInMs = pauseMs(failures, error, random())
      failures += 1
      notBeforeMs = clock.monotonicMs() + retryInMs
      events.failed(error, retryInMs)
    }
  }
  const runAlone = () =>
    (running ??= run().finally(() => {
      running = undefined
    }))

  return {
    look: async () => {
      if (clock.monotonicMs() >= notBeforeMs) await runAlone()
    },
    leaveOff: () => {
      stop.abort()
    },
    finish: async (timeoutMs) => {
      stop.abort()
      await running
      stop = new AbortController()
      const giving = runAlone().then(() => deps.cursor.release())
      const isDone = await settlesWithin(giving, timeoutMs)
      if (!isDone) stop.abort()
    },
  }
}

const isFailure = (error: unknown): error is ExportFailure =>
  error instanceof ExportError ||
  error instanceof DatabaseAccessError ||
  error instanceof LedgerFileError

/** Doubles from one failure to the next; replicas and restarts do not come back all at once. */
function pauseMs(failuresBefore: number, error: ExportFailure, random: number): number {
  const doubled = Math.min(firstPauseMs * 2 ** Math.min(failuresBefore, 10), longestPauseMs)
  const asked = error instanceof ExportError ? (error.retryAfterMs ?? 0) : 0
  return Math.min(Math.max(doubled * (0.75 + random / 4), asked), longestPauseMs)
}

async function follow(deps: EntryExportDeps, stop: AbortSignal): Promise<void> {
  const { cursor, events } = deps
  let at = await cursor.take()
  for (let page = 0; at !== undefined && page < pagesPerLook && !stop.aborted; page += 1) {
    const rows = await nextRows(at, deps)
    if (rows.length === 0) {
      events.caughtUp()
      return
    }
    at = await sendPage(rows, deps, stop)
  }
  if (at === undefined) events.elsewhere()
}

async function nextRows(
  at: Link,
  { tail, events }: Pick<EntryExportDeps, 'tail' | 'events'>,
): Promise<readonly Row[]> {
  const rows = rowsBehind(at, await tail.rowsFrom(at.sequence, pageRows))
  if (rows !== undefined) return rows
  const all = (await tail.rowsFrom(0, pageRows)).filter(({ isCut }) => isCut !== true)
  if (all.length > 0) events.beganAnew(at)
  return all
}

/**
 * What follows an entry, of rows that are read from its sequence on; undefined when it is not in this ledger, as
 * after a backup was restored. An entry that was pruned is known by what is chained to it.
 */
export function rowsBehind(at: Link, rows: readonly Row[]): readonly Row[] | undefined {
  const [first, ...others] = rows
  // Where all that was sent was pruned since.
  if (first?.isCut === true) {
    const isSent = first.sequence === at.sequence && Buffer.compare(first.hash, at.hash) === 0
    return isSent ? others : undefined
  }
  if (first === undefined) return at.sequence === 0 ? [] : undefined
  if (first.sequence === at.sequence) {
    return Buffer.compare(first.hash, at.hash) === 0 ? others : undefined
  }
  return chainFault(at, first) === undefined ? rows : undefined
}

/** @returns How far it came; undefined when it has become another replica's turn. */
async function sendPage(
  rows: readonly Row[],
  deps: EntryExportDeps,
  stop: AbortSignal,
): Promise<Link | undefined> {
  const { destination, cursor, events } = deps
  const prepared = rows.map((link) => ({ link, row: entryRowFrom(link, deps.deployment) }))
  const toSend = [...batchesOf(prepared, destination.batchBytesMax)]
  let at: Link | undefined
  for (let batch = toSend.shift(); batch !== undefined; batch = toSend.shift()) {
    events.waiting(firstOf(batch))
    if ((await sent(batch, destination, stop)) === 'too-large') {
      toSend.unshift(...halvesOf(batch))
      continue
    }
    at = lastOf(batch)
    if (!(await cursor.advance(at))) return undefined
    events.sent(batch.length, at)
  }
  return at
}

/** @returns `too-large`: the other side allows less than it says, and what it allows is found by halves. */
async function sent(
  batch: Batch,
  destination: LogDestination,
  stop: AbortSignal,
): Promise<'sent' | 'too-large'> {
  const rows = batch.map(({ row }) => row)
  try {
    await destination.send(rows, stop)
    return 'sent'
  } catch (error) {
    const isTooLarge = error instanceof ExportError && error.code === 'EXPORT_TOO_LARGE'
    if (isTooLarge && batch.length > 1) return 'too-large'
    throw error
  }
}

interface PreparedRow {
  readonly link: Link
  readonly row: EntryRow
}

type Batch = readonly [PreparedRow, ...PreparedRow[]]

/** As few as the bytes allow, in order. A row that is too large by itself is one batch. */
export function batchesOf(rows: readonly PreparedRow[], bytesMax: number): readonly Batch[] {
  const batches: [PreparedRow, ...PreparedRow[]][] = []
  let bytes = 0
  for (const prepared of rows) {
    // And a comma, or the brackets.
    const own = Buffer.byteLength(JSON.stringify(prepared.row)) + 2
    const last = batches.at(-1)
    if (last === undefined || bytes + own > bytesMax) {
      batches.push([prepared])
      bytes = own
    } else {
      last.push(prepared)
      bytes += own
    }
  }
  return batches
}

const halvesOf = ([first, ...others]: Batch): readonly Batch[] => {
  const half = Math.floor(others.length / 2)
  const [second, ...rest] = others.slice(half)
  const front: Batch = [first, ...others.slice(0, half)]
  return second === undefined ? [front] : [front, [second, ...rest]]
}

function firstOf([{ link, row }]: Batch): UnsentEntry {
  return { sequence: link.sequence, sinceMs: parseIsoTime(row.At ?? '') ?? 0 }
}

function lastOf([first, ...others]: Batch): Link {
  const { sequence, hash } = (others.at(-1) ?? first).link
  return { sequence, hash }
}
