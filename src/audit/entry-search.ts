import { setImmediate as nextTurn } from 'node:timers/promises'
import { entryIn, type EntrySearch, type FoundRows, namesOneOf } from '../ledger/attempt-entries.ts'
import type { Row } from '../ledger/chain.ts'
import type { LedgerTail } from '../ledger/ledger-tail.ts'

/** Clocks of replicas differ, and entries wait for their commit. */
const beforeMs = 30_000
/** How long a request may take, with what is signed and sent for it. */
const afterMs = 120_000

/** What is read at once: a file is read on the thread that everybody is served by. */
const stepRows = 250

/** About each time: two minutes and a half of some hundred entries a second. */
const rowsMax = 50_000

/**
 * Looks about the times at which entries were written, because no index knows what they say: their own times grow with
 * their sequence, but for what clocks differ. A row that was written much later than its id was made is not found.
 */
export const searchByTime = (tail: LedgerTail): EntrySearch => ({
  rowsNaming: async (wanted) => {
    const found: FoundRows[] = []
    for (const { id, nearMs } of wanted) {
      found.push(await rowsAbout(tail, nearMs, namesOneOf([id])))
    }
    return {
      rows: found.flatMap(({ rows }) => rows),
      complete: found.every(({ complete }) => complete),
    }
  },
})

async function rowsAbout(
  tail: LedgerTail,
  nearMs: number,
  isWanted: (row: Row) => boolean,
): Promise<FoundRows> {
  const rows: Row[] = []
  let next = await firstSince(tail, nearMs - beforeMs)
  for (let read = 0; read < rowsMax; read += stepRows) {
    const step = await tail.rowsFrom(next, stepRows)
    rows.push(...step.filter(isWanted))
    const last = step.at(-1)
    if (last === undefined || step.length < stepRows || atMsOf(last) > nearMs + afterMs) {
      return { rows, complete: true }
    }
    next = last.sequence + 1
    await nextTurn()
  }
  return { rows, complete: false }
}

/** Sequence of about the first row that is not older; rows may have been pruned before it. */
async function firstSince(tail: LedgerTail, sinceMs: number): Promise<number> {
  let [older, newer] = [0, 1]
  // Doubling first: how many rows there are, nobody says.
  while (!(await isNewer(tail, newer, sinceMs))) [older, newer] = [newer, newer * 2]
  while (newer - older > 1) {
    const middle = Math.floor((older + newer) / 2)
    if (await isNewer(tail, middle, sinceMs)) newer = middle
    else older = middle
  }
  return newer
}

/** Behind the end everything is, and what stands for entries that were pruned is as old as they are. */
async function isNewer(tail: LedgerTail, sequence: number, sinceMs: number): Promise<boolean> {
  const [row] = await tail.rowsFrom(sequence, 1)
  return row === undefined || (row.isCut !== true && atMsOf(row) >= sinceMs)
}

/** A row that does not say is as old as can be. */
function atMsOf(row: Row): number {
  const atMs = entryIn(row)?.['atMs']
  return typeof atMs === 'number' ? atMs : 0
}
