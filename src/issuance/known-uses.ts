import { LRUCache } from 'lru-cache'
import type { TokenUse, UseDenial } from '../ledger/token-use.ts'

/**
 * What this process has heard from the ledger of uses that are not to be had: so that whoever sends a spent
 * token again costs neither a commit nor what its grant has for others. It may forget, and then the ledger
 * is asked.
 */
export interface KnownUses {
  /** Undefined says nothing. */
  denialOf(use: TokenUse): UseDenial | undefined
  /** The ledger has given one. */
  taken(use: TokenUse): void
  /** The ledger has given none. Uses only ever grow, and purposes stay; room comes again, and is not remembered. */
  denied(use: TokenUse, denial: UseDenial): void
}

/** Some 300 bytes each. */
const knownMax = 10_000

export function createKnownUses(): KnownUses {
  /** How many have been taken for one purpose, or why there are none. */
  const known = new LRUCache<string, number | UseDenial>({ max: knownMax })
  const denialOf = (use: TokenUse) => {
    const heard = known.get(nameOf(use))
    return typeof heard === 'object' ? heard : undefined
  }
  return {
    denialOf,
    taken: (use) => {
      const heard = known.get(nameOf(use)) ?? 0
      if (typeof heard === 'object') return
      const uses = heard + 1
      known.set(nameOf(use), uses < use.usesMax ? uses : { ok: false, why: 'spent' })
    },
    denied: (use, denial) => {
      if (denial.why !== 'full') known.set(nameOf(use), denial)
    },
  }
}

/** Neither the hash nor the number has a space. */
const nameOf = ({ tokenId, purpose, usesMax }: TokenUse) => `${tokenId} ${usesMax} ${purpose}`
