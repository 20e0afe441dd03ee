import type { Link } from '../ledger/chain.ts'

/**
 * Keeps how far a destination has been told of the ledger (see `ExportedUpTo`), and whose turn it is to tell it
 * more. Never in the chain, which it would have no end in.
 */
export interface ExportCursor {
  /**
   * Where to go on; the genesis of the chain for a destination that was told nothing yet. Undefined when it is
   * another replica's turn, which ends by itself when that one is gone.
   *
   * @throws ExportError | DatabaseAccessError
   */
  take(): Promise<Link | undefined>
  /**
   * Durable when it resolves. Only behind what has arrived: whoever begins there again sends nothing that is new.
   *
   * @returns false when it has become another replica's turn meanwhile, and nothing was kept.
   * @throws ExportError | DatabaseAccessError
   */
  advance(to: Link): Promise<boolean>
  /**
   * Gives the turn back, if it is this one's: the next one has it at once, and need not wait for its end.
   *
   * @throws ExportError | DatabaseAccessError
   */
  release(): Promise<void>
}
