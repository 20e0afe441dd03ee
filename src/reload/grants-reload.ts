import type { Clock } from '../base/clock.ts'
import type { ConfigurationProblem } from '../base/configuration-problem.ts'
import type { Ledger } from '../ledger/ledger.ts'
import { policyLoaded } from './policy-loaded.ts'
import { compileGrants } from '../policy/compile-grants.ts'
import type { GrantSurroundings } from '../policy/grant-checks.ts'
import { readGrantFolder } from '../policy/grant-folder.ts'
import { changesBetween, type GrantChanges, type PolicyInForce } from '../policy/policy-in-force.ts'

/** Puts into force what the folder of grants says, while the service runs. */
export interface GrantsReload {
  /**
   * Looks at the folder now. What differs from what is in force is written down and then in force, whole;
   * what cannot be written down is not, and is looked at again next time. Whoever calls while a look is
   * under way has one that begins after it.
   *
   * @throws LedgerError
   */
  look(): Promise<void>
}

export interface GrantsReloadDeps {
  readonly folder: string
  /** The configuration of this run: what grants may name does not change with them. */
  readonly surroundings: GrantSurroundings
  readonly inForce: PolicyInForce
  readonly ledger: Pick<Ledger, 'append'>
  readonly clock: Clock
  readonly onLoaded: (loaded: LoadedGrants) => void
}

export interface LoadedGrants {
  readonly changes: GrantChanges
  readonly grants: number
  /** Files that grant nothing because of an error. */
  readonly broken: number
  readonly problems: readonly ConfigurationProblem[]
}

export function createGrantsReload(deps: GrantsReloadDeps): GrantsReload {
  let latest: Promise<void> = Promise.resolve()
  let waiting: Promise<void> | undefined
  return {
    look: () => {
      // One look at a time; all that ask meanwhile share the next one.
      waiting ??= latest
        .catch(() => undefined)
        .then(() => {
          waiting = undefined
          latest = lookOnce(deps)
          return latest
        })
      return waiting
    },
  }
}

async function lookOnce(deps: GrantsReloadDeps): Promise<void> {
  const { folder, surroundings, inForce, ledger, clock, onLoaded } = deps
  const read = await readGrantFolder(folder)
  const next = compileGrants(read.files, surroundings, clock.nowSeconds())
  const before = inForce.current()
  if (next.sha256 === before.sha256) return
  const changes = changesBetween(before, next)
  await ledger.append([policyLoaded(next, clock.nowMs(), changes)])
  inForce.replace(next)
  onLoaded({
    changes,
    grants: next.policy.grants.length,
    broken: next.broken,
    problems: [...read.problems, ...next.problems],
  })
}
