import type { LedgerTail } from '../ledger/ledger-tail.ts'
import { type EntryFeed, FeedError } from './entry-feed.ts'

const pageRows = 1000

/** The ledger itself, or a replica of it, for a witness that may read it where it is kept. */
export const feedOfLedger = (name: string, tail: LedgerTail): EntryFeed => ({
  name,
  rowsBehind: async (sequence) => {
    const [first, ...others] = await rowsFrom(tail, sequence)
    if (first === undefined) {
      if (sequence === 0) return []
      throw new FeedError('FEED_ENDS_BEFORE')
    }
    return first.sequence === sequence && first.isCut !== true ? others : [first, ...others]
  },
})

async function rowsFrom(tail: LedgerTail, sequence: number) {
  try {
    return await tail.rowsFrom(sequence, pageRows)
  } catch (cause) {
    throw new FeedError('FEED_UNREACHABLE', { cause })
  }
}
