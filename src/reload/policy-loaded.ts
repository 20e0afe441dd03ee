import type { PolicyLoaded } from '../ledger/entry.ts'
import type { CompiledGrants } from '../policy/compile-grants.ts'
import type { GrantChanges } from '../policy/policy-in-force.ts'
import { changesOnRecord } from './named-changes.ts'

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
    ...(changes === undefined ? {} : changesOnRecord(changes)),
  }
}
