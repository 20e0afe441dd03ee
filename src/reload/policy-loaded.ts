import type { PolicyLoaded } from '../ledger/entry.ts'
import type { CompiledGrants } from '../policy/compile-grants.ts'
import type { GrantChanges } from '../policy/policy-in-force.ts'

/** Enough to see what a review has let in; a change of thousands is known by its hash. */
const namesMax = 100

/** The entry of a policy that is in force from now on. @param changes Absent at the start of a run. */
export function policyLoaded(
  { sha256, policy, broken }: CompiledGrants,
  atMs: number,
  changes?: GrantChanges,
): PolicyLoaded {
  const counts = { sha256, grants: policy.grants.length, broken }
  if (changes === undefined) return { kind: 'policy.loaded', atMs, ...counts }
  const { added, removed, changed } = changes
  const isCut = [added, removed, changed].some(({ length }) => length > namesMax)
  return {
    kind: 'policy.loaded',
    atMs,
    ...counts,
    added: added.slice(0, namesMax),
    removed: removed.slice(0, namesMax),
    changed: changed.slice(0, namesMax),
    ...(isCut ? { cut: true } : {}),
  }
}
