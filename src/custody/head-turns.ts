import type { Clock } from '../base/clock.ts'
import type { LedgerEnd } from '../ledger/chain.ts'

/** How far a ledger may grow without a head. */
export interface HeadSchedule {
  readonly everySeconds: number
  readonly everyEntries: number
}

/**
 * Whose turn it is to sign a head, and when. Of any number of replicas on one ledger one has the turn, until
 * it says that it is over or has not said so for longer than a head can take.
 */
export interface HeadTurns {
  /**
   * What the ledger holds, when a head of that is to be signed here and now; undefined when none is due or it
   * is somebody else's turn.
   *
   * @param when `last`: it is due as soon as there is anything that no head stands for.
   */
  take(when: 'due' | 'last'): Promise<LedgerEnd | undefined>
  /** @param signed The head's sequence; undefined when there is none, so that the next turn comes at once. */
  end(signed: number | undefined): Promise<void>
}

/**
 * Turns of a process that has its ledger to itself.
 *
 * @param readEnd Of the ledger; undefined before its first entry.
 */
export function createLoneHeadTurns(
  readEnd: () => LedgerEnd | undefined,
  schedule: HeadSchedule,
  clock: Clock,
): HeadTurns {
  let signed = { sequence: 0, atMs: Number.NEGATIVE_INFINITY }
  const isDue = (sequence: number) =>
    clock.monotonicMs() - signed.atMs >= schedule.everySeconds * 1000 ||
    sequence - signed.sequence >= schedule.everyEntries
  return {
    // eslint-disable-next-line @typescript-eslint/require-await -- a file is read at once, a database is waited for
    take: async (when) => {
      const end = readEnd()
      if (end === undefined) return undefined
      return when === 'last' || isDue(end.tip.sequence) ? end : undefined
    },
    end: (sequence) => {
      if (sequence !== undefined) signed = { sequence, atMs: clock.monotonicMs() }
      return Promise.resolve()
    },
  }
}
