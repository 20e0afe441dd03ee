import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Row } from '../ledger/chain.ts'
import type { LedgerTail } from '../ledger/ledger-tail.ts'
import type { LedgerTurns } from './ledger-turns.ts'

/** The ledger in pages, for whoever follows it. */
export interface EntryPages {
  /**
   * The stored rows behind an entry, in order and unverified: as many as are asked for, or as a page may have, and
   * at least one where there is one. What stands for entries that were pruned comes before them, and is none of
   * them. Undefined when the ledger has neither that entry nor any behind it.
   *
   * @throws AuditError
   */
  page(after: number, entriesMax: number): Promise<readonly Row[] | undefined>
}

/** What is read at once: a file is read on the thread that everybody is served by. */
const stepRows = 100

/** Of a page; entries are a few hundred bytes each, and a megabyte none. */
const pageBytesMax = 1024 * 1024

export const createEntryPages = (tail: LedgerTail, turns: LedgerTurns): EntryPages => ({
  page: (after, entriesMax) => turns(() => pageOf(tail, after, entriesMax)),
})

async function pageOf(
  tail: LedgerTail,
  after: number,
  entriesMax: number,
): Promise<readonly Row[] | undefined> {
  // With the entry itself: a ledger that has it not, and nothing behind it, is not the one that was meant.
  const first = await tail.rowsFrom(after, Math.min(entriesMax, stepRows) + 1)
  if (after > 0 && first.length === 0) return undefined
  const behind = first.filter(({ sequence }) => sequence > after)
  // A page of nothing else would be taken for the end.
  const rowsMax = behind[0]?.isCut === true ? entriesMax + 1 : entriesMax
  const rows = behind.slice(0, rowsMax)
  while (rows.length > 0 && rows.length < rowsMax && bytesOf(rows) < pageBytesMax) {
    await nextTurn()
    const next = (rows.at(-1)?.sequence ?? after) + 1
    const step = await tail.rowsFrom(next, Math.min(rowsMax - rows.length, stepRows))
    // What was pruned meanwhile is missing behind these: the next page says so.
    if (step.length === 0 || step[0]?.isCut === true) break
    rows.push(...step)
  }
  return rows
}

const bytesOf = (rows: readonly Row[]) =>
  rows.reduce((bytes, { canonical }) => bytes + canonical.length, 0)
