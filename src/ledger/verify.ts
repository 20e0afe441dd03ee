import { chainFault, genesis, isCutAt } from './chain.ts'
import type { ChainFault, Link, Row } from './chain.ts'

/** What can be said of a ledger by itself: consistent to its tip, or broken at one entry. */
export type Verification =
  | { readonly ok: true; readonly tip: Link }
  | { readonly ok: false; readonly intactUpTo: Link; readonly fault: ChainFault }

/** The place that a row takes in the chain, or a cut before it, and what is wrong with it there. */
export interface Step {
  readonly row: Row
  /** Undefined when the row continues the chain behind the one before it, whatever was wrong with that. */
  readonly fault: ChainFault | undefined
}

/**
 * Every row with its own fault: also what follows a fault, for whoever wants to read on.
 *
 * @param behind What the first row is to continue: the row before it, however that was.
 */
export function* walkChain(
  rows: Iterable<Row>,
  behind: Link = genesis,
): Generator<Step, void, undefined> {
  let tip = behind
  for (const row of rows) {
    yield { row, fault: isCutAt(tip, row) ? undefined : chainFault(tip, row) }
    tip = row
  }
}

/**
 * Follows the chain to its end or its first fault, in constant memory. "Consistent" is all it says:
 * that nobody wrote the whole ledger anew, or cut off its end, shows only against a copy of a hash
 * that was kept elsewhere.
 */
export function verifyChain(rows: Iterable<Row>, behind: Link = genesis): Verification {
  let tip = behind
  for (const { row, fault } of walkChain(rows, behind)) {
    if (fault !== undefined) return { ok: false, intactUpTo: tip, fault }
    tip = { sequence: row.sequence, hash: row.hash }
  }
  return { ok: true, tip }
}
