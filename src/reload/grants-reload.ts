import type { Clock } from '../base/clock.ts'
import type { ConfigurationProblem } from '../base/configuration-problem.ts'
import type { Turns } from '../base/turns.ts'
import type { PolicyLoaded } from '../ledger/entry.ts'
import type { Ledger } from '../ledger/ledger.ts'
import { policyLoaded } from './policy-loaded.ts'
import { compileGrants } from '../policy/compile-grants.ts'
import type { GrantSurroundings } from '../policy/grant-checks.ts'
import { readGrantFolder } from '../policy/grant-folder.ts'
import { changesBetween, type GrantChanges, type PolicyInForce } from '../policy/policy-in-force.ts'
import { createLooks } from './looks.ts'

/** Puts into force what grants say, while the service runs. */
export interface GrantsReload {
  /**
   * Puts into force what a run begins with. Nothing may be decided by what was in force before. After a
   * failure it may be called again.
   *
   * @returns The entry that says so, for whoever writes the first ones.
   */
  first(): Promise<PolicyLoaded>
  /**
   * Looks at the grants now. What differs from what is in force is written down and then in force, whole;
   * what cannot be written down is not, and is looked at again next time. Whoever calls while a look is
   * under way has one that begins after it.
   *
   * @throws LedgerError
   */
  look(): Promise<void>
  /**
   * Calls when it is time to look, as far as anybody tells; not about the folder.
   *
   * @returns Ends that.
   */
  watch(onHint: () => void): () => void
}

export interface GrantsReloadDeps {
  readonly folder: string
  /** The configuration in force, which says what grants may name. */
  readonly surroundings: () => GrantSurroundings
  readonly inForce: PolicyInForce
  /** What grants mean changes in one place at a time, with them or with the configuration. */
  readonly turns: Turns
  readonly ledger: Pick<Ledger, 'append'>
  readonly clock: Clock
  readonly onLoaded: (loaded: LoadedGrants) => void
}

export interface LoadedGrants {
  /** Undefined at the start of a run. */
  readonly changes: GrantChanges | undefined
  readonly grants: number
  /** Files that grant nothing because of an error. */
  readonly broken: number
  readonly problems: readonly ConfigurationProblem[]
  /** Of the policy that replicas share; absent where none do. */
  readonly generation?: number
}

/** Of one process alone: what its own folder says. It is in force from the start. */
export function createGrantsReload(deps: GrantsReloadDeps): GrantsReload {
  const { inForce, clock } = deps
  return {
    first: () => Promise.resolve(policyLoaded(inForce.current(), clock.nowMs())),
    look: createLooks(() => deps.turns(() => lookOnce(deps))),
    watch: () => () => undefined,
  }
}

async function lookOnce(deps: GrantsReloadDeps): Promise<void> {
  const { folder, surroundings, inForce, ledger, clock, onLoaded } = deps
  const read = await readGrantFolder(folder)
  const next = compileGrants(read.files, surroundings(), clock.nowSeconds())
  const before = inForce.current()
  if (next.sha256 === before.sha256) return
  const changes = changesBetween(before, next)
  await ledger.append([policyLoaded(next, clock.nowMs(), { changes })])
  inForce.replace(next)
  onLoaded({
    changes,
    grants: next.policy.grants.length,
    broken: next.broken,
    problems: [...read.problems, ...next.problems],
  })
}
