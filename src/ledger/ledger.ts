import type { Entry } from './entry.ts'
import type { StandingRevocations } from './standing-revocations.ts'
import type { TokenUse, UseDenial } from './token-use.ts'

/**
 * Where everything that the service does is written before it counts.
 *
 * Safe for any number of concurrent callers: what waits at one moment is committed together. No commit
 * is tried twice. After one that failed the ledger refuses appends until it has, by itself and after a
 * pause that grows while failures follow one another, opened its store again and verified its tip;
 * entries that are appended then follow whatever is durable. A store that is lost between commits is
 * opened again at once.
 */
export interface Ledger {
  /**
   * Appends the entries, adjacent and in this order, in one commit. When the promise resolves they
   * are durable: written and synced to the disk or the database's.
   *
   * Entries that make or lift a revocation change what stands in the same commit. Of no entries nothing
   * is written; what others have revoked until then is told before it resolves, as with every append.
   * For both there is room, however many entries wait.
   *
   * @param condition Looked at in the commit; where it does not hold, nothing is appended. Absent for what
   *   has happened whatever is revoked.
   * @throws LedgerError when they are not, or may not be; whoever waits must then not act. Entries of
   *   a commit that failed may turn out to be there, all of them or none, and with them the use that they
   *   take; of `LEDGER_OVERTAKEN` and `LEDGER_USE_DENIED`, none.
   * @throws RangeError for a text without canonical form (a lone surrogate), and nothing is appended.
   */
  append(entries: readonly Entry[], condition?: AppendCondition): Promise<void>
  /**
   * Whether appends are taken: not from a failure until the store was opened again, and not
   * after closing. Readiness reads it, nothing is written.
   */
  healthy(): boolean
  /**
   * Whether the disk is so nearly full that what is left of it is kept: for how things end that have begun,
   * for revocations, and for what the service says of itself. Nothing else is taken then.
   */
  isFull(): boolean
  /** Caller tokens whose uses are remembered, as far as the last commit has told. */
  tokensRemembered(): number
  /**
   * Waits for what was appended, then closes; appends after it are refused. A store that hangs is
   * waited for no longer than a few commits may take, and then left behind.
   */
  close(): Promise<void>
}

/** What has to be so when entries are stored. */
export interface AppendCondition {
  /**
   * Epoch of the revocations that were heeded when the entries were decided: where another one has begun,
   * the one that stands is told first, and then `LEDGER_OVERTAKEN`.
   */
  readonly decidedUnder: number
  /**
   * Taken in the same commit, for entries that neither make nor lift a revocation. Of any number that want
   * the last one, by whichever replica, one gets it, and nothing gives it back; the others are told
   * {@link TokenUseDenied}. Absent: none is taken.
   */
  readonly tokenUse?: TokenUse
}

/** What a run begins with, found out when the store is there and nobody can append anything yet. */
export type FirstEntries = () => Promise<readonly Entry[]>

/**
 * Told what stands when a store is opened, and whenever that has changed: before anybody is answered
 * whose append came behind the change.
 */
export type OnRevocations = (standing: StandingRevocations) => void

/** Told of every commit that had something to store how long it took, until it was durable or had failed. */
export type OnCommit = (seconds: number) => void

/** A ledger that refuses appends until it was opened. */
export interface OpenableLedger extends Ledger {
  /**
   * Opens the store and verifies its tip; nothing is opened by itself before that has worked once.
   * After a failure it may be called again.
   *
   * @param first Asked when the store is open, and durable before any other entry is taken. When opening
   *   fails after they were sent, they may be there all the same, and are there again after the next try.
   * @throws What its store throws, or `first`.
   */
  open(first?: FirstEntries): Promise<void>
}

export type LedgerErrorCode =
  | 'LEDGER_UNAVAILABLE' // a commit failed, or the store is not open: not yet, or not again after one that did
  | 'LEDGER_OVERLOADED' // more is waiting than may wait
  | 'LEDGER_FULL' // what is left of the disk is kept for how things end that have begun
  | 'LEDGER_OVERTAKEN' // a revocation was made or lifted, or another configuration is in force, since it was decided: decide again
  | 'LEDGER_USE_DENIED' // the caller's token has no such use left, or there is no room for it
  | 'LEDGER_CLOSED' // the service is stopping

export class LedgerError extends Error {
  override readonly name = 'LedgerError'
  readonly code: LedgerErrorCode

  constructor(code: LedgerErrorCode, options?: ErrorOptions) {
    super(code, options)
    this.code = code
  }

  /** Whether it may be had again without anybody's help. */
  get transient(): boolean {
    return this.code !== 'LEDGER_CLOSED'
  }
}

export class TokenUseDenied extends LedgerError {
  readonly denial: UseDenial

  constructor(denial: UseDenial) {
    super('LEDGER_USE_DENIED')
    this.denial = denial
  }
}
