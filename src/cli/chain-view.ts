import type { Damage } from '../custody/damage.ts'
import { type AnchorFound, type LedgerVerdict, verifyLedger } from '../custody/verify-ledger.ts'
import { sqliteCode } from '../ledger/ledger-file.ts'
import type { LedgerSource } from '../ledger/ledger-source.ts'
import type { ChainView } from '../reconcile/report-view.ts'
import { CommandError } from './command-error.ts'
import { damageText } from './ledger-verdict.ts'

/** What the page for auditors says of the evidence of a ledger; nothing is known where nobody looked. */
export type ChainEvidence = Pick<ChainView, 'fault' | 'heads' | 'keepers' | 'undecided'>

/**
 * Holds a ledger to its own heads and to those of the anchors. Of a file that is damaged as a database nothing
 * is known: reconcile has found that it is broken.
 *
 * @throws CommandError when an anchor cannot be read; what the ledger throws.
 */
export async function readChainView(
  ledger: LedgerSource,
  anchors: readonly string[],
): Promise<ChainEvidence> {
  try {
    const evidence = { headKeys: [], certificates: [], anchors }
    return chainViewFrom(await verifyLedger(ledger.pages(), evidence))
  } catch (error) {
    if (!(error instanceof Error)) throw error
    if (sqliteCode(error) !== undefined) return {}
    if ('syscall' in error) throw new CommandError(error.message)
    throw error
  }
}

export function chainViewFrom({
  damage,
  heads,
  anchors,
  unsealed,
  undecided,
}: LedgerVerdict): ChainEvidence {
  return {
    ...(damage === undefined ? {} : { fault: damageText(damage) }),
    heads: {
      count: heads.verified,
      ...(heads.newest === undefined ? {} : { last: heads.newest }),
      unsealed,
    },
    keepers: anchors.map((anchor) => ({
      name: anchor.file,
      kind: 'anchor',
      ...agreementOf(anchor, damage),
      ...anchor.newest,
    })),
    undecided,
  }
}

/** What contradicts the ledger is its damage; an anchor of which something could not be compared agrees with nothing. */
function agreementOf(
  { verified, unknownKey, unread, notCompared }: AnchorFound,
  damage: Damage | undefined,
): { readonly agrees?: boolean } {
  if (damage !== undefined) return { agrees: false }
  return verified > 0 && unknownKey + unread + notCompared === 0 ? { agrees: true } : {}
}
