import type { Link } from './chain.ts'

/** How far a destination has been told of the ledger: the last entry that has arrived there. */
export interface ExportedUpTo extends Link {
  readonly destination: string
}
