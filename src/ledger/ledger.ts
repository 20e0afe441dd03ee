import type { Entry } from './entry.ts'

/**
 * Where everything that the service does is written before it counts.
 *
 * Safe for any number of concurrent callers: what waits at one moment is committed together. The
 * ledger does not retry, and after a failure that leaves its state in doubt it refuses until it is
 * opened again.
 */
export interface Ledger {
  /**
   * Appends the entries, adjacent and in this order, in one commit. When the promise resolves they
   * are durable: written and synced to the disk or the database's.
   *
   * @throws LedgerError when they are not, or may not be; whoever waits must then not act.
   * @throws RangeError for a text without canonical form (a lone surrogate), and nothing is appended.
   */
  append(entries: readonly Entry[]): Promise<void>
  /** Whether the last commit worked: readiness reads it, nothing is written. */
  healthy(): boolean
  /** Waits for what was appended, then closes; appends after it are refused. */
  close(): Promise<void>
}

export type LedgerErrorCode =
  | 'LEDGER_UNAVAILABLE' // the commit failed or the writer is gone
  | 'LEDGER_OVERLOADED' // more is waiting than may wait
  | 'LEDGER_CLOSED' // the service is stopping

export class LedgerError extends Error {
  override readonly name = 'LedgerError'
  readonly code: LedgerErrorCode

  constructor(code: LedgerErrorCode, options?: ErrorOptions) {
    super(code, options)
    this.code = code
  }
}
