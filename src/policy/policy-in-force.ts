import type { GrantName } from '../base/ids.ts'
import type { CompiledGrants } from './compile-grants.ts'
import { grantWidenings } from './widening.ts'

/** What is allowed now. Whoever decides asks once for each decision, and so sees one policy, whole. */
export interface PolicyInForce {
  current(): CompiledGrants
  /** From now on, at once and for everybody. */
  replace(next: CompiledGrants): void
}

export function createPolicyInForce(first: CompiledGrants): PolicyInForce {
  let current = first
  return {
    current: () => current,
    replace: (next) => {
      current = next
    },
  }
}

/** How one set of grants differs from another, by name, each list in order. */
export interface GrantChanges {
  readonly added: readonly GrantName[]
  /** With those whose files do not load any more. */
  readonly removed: readonly GrantName[]
  readonly changed: readonly GrantName[]
  /** Those by which somebody gets what no grant gave before, new ones too: more of them rather than fewer. */
  readonly widened: readonly GrantName[]
}

export function changesBetween(before: CompiledGrants, after: CompiledGrants): GrantChanges {
  const names = (from: CompiledGrants) => [...from.fingerprints.keys()].toSorted()
  const kept = names(after).filter((name) => before.fingerprints.has(name))
  return {
    added: names(after).filter((name) => !before.fingerprints.has(name)),
    removed: names(before).filter((name) => !after.fingerprints.has(name)),
    changed: kept.filter((name) => before.fingerprints.get(name) !== after.fingerprints.get(name)),
    widened: grantWidenings(before.policy, after.policy).map(({ grant }) => grant),
  }
}
