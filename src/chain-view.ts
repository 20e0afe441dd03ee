import type { Damage } from './custody/damage.ts'
import { damageText } from './custody/damage-text.ts'
import type { AnchorFound } from './custody/anchor-cursor.ts'
import type { LedgerVerdict } from './custody/ledger-verdict.ts'
import type { ChainView } from './reconcile/report-view.ts'

/** What the page for auditors says of the evidence of a ledger; nothing is known where nobody looked. */
export type ChainEvidence = Pick<ChainView, 'fault' | 'heads' | 'keepers' | 'undecided'>

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
      kind: anchor.kind,
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
