import type { Row } from '../ledger/chain.ts'

/** A ledger as somebody else tells it, followed as it grows. */
export interface EntryFeed {
  /** For the log, and for who compares: whose ledger it is. */
  readonly name: string
  /**
   * Rows behind an entry, in order and unverified, as many as there are at once; none at its end for now. Behind 0
   * of a ledger that was pruned, what stands for the entries that are not there comes first.
   *
   * @throws FeedError
   */
  rowsBehind(sequence: number): Promise<readonly Row[]>
}

/** One code for each thing that an auditor would do differently. */
export type FeedErrorCode =
  | 'FEED_UNREACHABLE' // no answer, or an error of the other side: wait
  | 'FEED_IDENTITY' // nothing to prove who asks with
  | 'FEED_REFUSED' // whoever asks may not read, or is not known
  | 'FEED_ENDS_BEFORE' // it does not have the entry that was seen
  | 'FEED_TOO_SLOW' // more comes than is read while a head should come: the next look goes on
  | 'FEED_MALFORMED' // what answers is no ledger

export class FeedError extends Error {
  override readonly name = 'FeedError'
  readonly code: FeedErrorCode

  constructor(code: FeedErrorCode, options?: ErrorOptions) {
    super(code, options)
    this.code = code
  }
}
