import type { ConfigurationProblem } from '../base/configuration-problem.ts'
import type { PolicyLoaded } from '../ledger/entry.ts'
import { compileGrants } from '../policy/compile-grants.ts'
import { readGrantFolder } from '../policy/grant-folder.ts'
import { parseGrantsText } from '../policy/grants-text.ts'
import { changesBetween } from '../policy/policy-in-force.ts'
import { createFolderPlace } from './folder-place.ts'
import type { GrantsReload, GrantsReloadDeps, LoadedGrants } from './grants-reload.ts'
import { createLooks } from './looks.ts'
import { PolicyGenerationError } from './policy-generation-error.ts'
import type { GenerationName, PolicyGenerations } from './policy-generations.ts'
import { policyLoaded } from './policy-loaded.ts'

/** The folder of this replica, beside what is in force. One that cannot be read says nothing. */
export type FolderStanding = 'in-force' | 'differs' | 'unreadable'

/** Where this replica stands among all that share the policy. */
export interface PolicyStanding {
  /** The one in force here; 0 before there was any. */
  readonly generation: number
  /** `behind`: there is a newer one, which could not be put into force. */
  readonly state: 'newest' | 'behind'
  readonly folder: FolderStanding
}

export interface FleetGrants extends GrantsReload {
  readonly standing: PolicyStanding
}

export interface FleetGrantsDeps extends GrantsReloadDeps {
  readonly generations: PolicyGenerations
  /** The folder stands otherwise than was told before; one that only lags is not told of. */
  readonly onFolder: (standing: PolicyStanding, problems: readonly ConfigurationProblem[]) => void
}

/**
 * Of one of several replicas: the newest generation of the policy that they share. What becomes of the
 * replica's own folder is published, unless another replica was there before; and only what was published,
 * and is what its hash says, comes into force here.
 *
 * A folder that cannot be read publishes nothing and takes nothing away: what is in force was put there by
 * folders that could be. One that is empty or gone allows nothing, and that for all.
 */
export function createFleetGrants(deps: FleetGrantsDeps): FleetGrants {
  const { surroundings, inForce, ledger, clock, generations, onLoaded, onFolder } = deps
  let generation = 0
  let newestSeen = 0
  let folder: FolderStanding = 'differs'
  let toldOf: FolderStanding = 'in-force'

  const standing = (): PolicyStanding => ({
    generation,
    state: newestSeen > generation ? 'behind' : 'newest',
    folder,
  })

  /** @throws PolicyGenerationError */
  const assertNotRewound = (newest: GenerationName | undefined) => {
    const found = newest?.generation ?? 0
    const isAnother = found === generation && newest?.sha256 !== inForce.current().sha256
    if (found < generation || (generation > 0 && isAnother)) {
      throw new PolicyGenerationError('POLICY_REWOUND', generation)
    }
    newestSeen = found
  }
  const place = createFolderPlace(generations, clock, assertNotRewound)

  /**
   * @param write Makes the entry durable, before what it says is in force.
   * @returns Undefined when it is in force already.
   */
  const adopt = async (
    name: GenerationName,
    write: (entry: PolicyLoaded) => Promise<void>,
  ): Promise<LoadedGrants | undefined> => {
    newestSeen = name.generation
    if (name.generation === generation) return undefined
    const next = await compiled(name)
    const loadedAs = { changes: changesBetween(inForce.current(), next), generation: newestSeen }
    await write(policyLoaded(next, clock.nowMs(), loadedAs))
    inForce.replace(next)
    generation = name.generation
    const { policy, broken, problems } = next
    return { ...loadedAs, grants: policy.grants.length, broken, problems }
  }

  /** @throws PolicyGenerationError when it is not what its hash says. */
  const compiled = async ({ generation: number }: GenerationName) => {
    const row = await generations.read(number)
    const files = row && parseGrantsText(row.files, `generation ${number}`)
    const next = files && compileGrants(files, surroundings(), clock.nowSeconds())
    if (next === undefined || next.sha256 !== row?.sha256) {
      throw new PolicyGenerationError('POLICY_DAMAGED', number)
    }
    return next
  }

  const look = async (write: (entry: PolicyLoaded) => Promise<void>) => {
    const read = await readGrantFolder(deps.folder)
    const isReadable = read.state !== 'unreadable'
    try {
      const newest = await place.find(isReadable ? read.files : undefined)
      const loaded = newest && (await adopt(newest, write))
      return { loaded, problems: read.problems }
    } finally {
      const isInForce = place.seen?.sha256 === inForce.current().sha256
      folder = !isReadable ? 'unreadable' : isInForce ? 'in-force' : 'differs'
    }
  }

  const tell = (problems: readonly ConfigurationProblem[]) => {
    if (folder === toldOf) return
    toldOf = folder
    onFolder(standing(), problems)
  }

  const first = async () => {
    const { loaded, problems } = await look(() => Promise.resolve())
    tell(problems)
    if (loaded !== undefined) {
      // What is wrong in the files of its own folder was told of when it was read.
      const told = folder === 'in-force' ? [] : loaded.problems
      onLoaded({ ...loaded, changes: undefined, problems: told })
    }
    return policyLoaded(inForce.current(), clock.nowMs(), { generation: generation || undefined })
  }

  const lookAndTell = async () => {
    const { loaded, problems } = await look((entry) => ledger.append([entry]))
    if (loaded !== undefined) onLoaded(loaded)
    const isLag = folder === 'differs' && place.seen?.isSettled === false
    if (!isLag) tell(problems)
  }

  return {
    first,
    look: createLooks(() => deps.turns(lookAndTell)),
    watch: (onHint) => generations.watch(onHint),
    get standing() {
      return standing()
    },
  }
}
