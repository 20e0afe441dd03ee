import type { KeyObject } from 'node:crypto'
import { isWitnessedBy, type KeptHead, readAnchorFile } from './anchored-heads.ts'
import type { Evidence } from './ledger-verdict.ts'

/** A head up to which a ledger can be pruned: somebody else holds it. */
export interface HeldHead {
  readonly head: KeptHead
  readonly heldBy: 'anchor' | 'witness'
}

/** Where a cut may be. */
export interface CutLimits {
  /** Tells ledgers apart. */
  readonly ledger: string
  /** More than what was pruned before. */
  readonly behind: number
  /** At most. */
  readonly upTo: number
  /** Heads that were signed earlier than that, milliseconds since the Unix epoch. */
  readonly beforeMs: number
}

/**
 * The newest head within the limits that a witness or an anchor holds, of evidence that the ledger was found to
 * fit; a witness's before an anchor's for the same entry. Undefined where there is none.
 *
 * @throws Error of the system when a file cannot be read.
 */
export function newestHeldHead(
  { anchors, witnesses = [] }: Pick<Evidence, 'anchors' | 'witnesses'>,
  limits: CutLimits,
): HeldHead | undefined {
  let newest: HeldHead | undefined
  const consider = (file: string, heldBy: HeldHead['heldBy'], keys: readonly KeyObject[]) => {
    for (const line of readAnchorFile(file)) {
      if (line.kind === 'unread' || !isWithin(line.head, limits)) continue
      if (line.head.statement.sequence <= (newest?.head.statement.sequence ?? 0)) continue
      if (heldBy === 'witness' && !isWitnessedBy(keys, line.head)) continue
      newest = { head: line.head, heldBy }
    }
  }
  for (const { file, keys } of witnesses) consider(file, 'witness', keys)
  for (const file of anchors) consider(file, 'anchor', [])
  return newest
}

const isWithin = ({ statement }: KeptHead, { ledger, behind, upTo, beforeMs }: CutLimits) =>
  statement.ledger === ledger &&
  statement.sequence > behind &&
  statement.sequence <= upTo &&
  statement.atMs < beforeMs
