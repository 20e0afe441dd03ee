import type { PolicyLoaded } from '../ledger/entry.ts'
import type { CompiledGrants } from '../policy/compile-grants.ts'
import type { GrantChanges } from '../policy/policy-in-force.ts'

/** Enough to see what a review has let in; a change of thousands is known by its hash. */
const namesMax = 100

export interface LoadedAs {
  /** Absent at the start of a run. */
  readonly changes?: GrantChanges
  /** Absent where replicas share none. */
  readonly generation?: number | undefined
}

/** The entry of a policy that is in force from now on. */
export function policyLoaded(
  { sha256, policy, broken }: CompiledGrants,
  atMs: number,
  { changes, generation }: LoadedAs = {},
): PolicyLoaded {
  return {
    kind: 'policy.loaded',
    atMs,
    sha256,
    ...(generation === undefined ? {} : { generation }),
    grants: policy.grants.length,
    broken,
    ...(changes === undefined ? {} : namesOf(changes)),
  }
}

function namesOf({ added, removed, changed, widened }: GrantChanges) {
  const isCut = [added, removed, changed, widened].some(({ length }) => length > namesMax)
  return {
    added: added.slice(0, namesMax),
    removed: removed.slice(0, namesMax),
    changed: changed.slice(0, namesMax),
    widened: widened.slice(0, namesMax),
    ...(isCut ? { cut: true as const } : {}),
  }
}
