import { dirname } from 'node:path'
import type { Clock } from '../base/clock.ts'
import type { ConfigurationProblem } from '../base/configuration-problem.ts'
import { fileState } from '../base/file-state.ts'
import type { Turns } from '../base/turns.ts'
import type { Config } from '../config/config.ts'
import {
  type ConfigChanges,
  configChanges,
  knownConfig,
  type KnownConfig,
  saysTheSame,
} from '../config/config-changes.ts'
import type { LoadedConfig } from '../config/load-config.ts'
import { restartSettings } from '../config/restart-settings.ts'
import type { ConfigurationLoaded, Entry } from '../ledger/entry.ts'
import type { Ledger } from '../ledger/ledger.ts'
import { createLooks } from './looks.ts'
import { changesOnRecord } from './named-changes.ts'

/** Puts into force what `countersign.yaml` and the files that it names say, while the service runs. */
export interface ConfigurationReload {
  /** The entry of the one that a run begins with. */
  first(): Promise<ConfigurationLoaded>
  /**
   * Looks at the files now. What differs from what is in force is made and proven beside it, written down,
   * and then in force, whole; what cannot be is not, the one that is in force stays, and it is told why.
   *
   * @throws LedgerError
   */
  look(): Promise<void>
  /** The same where no file has changed: it is told again why what they say is not in force. */
  lookAnew(): Promise<void>
  /** `differs`: the files say something that is not in force. */
  readonly standing: ConfigurationStanding
  /** What to watch for changes. */
  readonly files: readonly string[]
}

export type ConfigurationStanding = 'in-force' | 'differs'

export interface ConfigurationReloadDeps {
  /** `countersign.yaml` first, and those that it names at the start; absolute. */
  readonly files: readonly string[]
  /** The one that a run begins with. */
  readonly config: Config
  readonly load: (file: string) => Promise<LoadedConfig>
  /**
   * Makes and proves a configuration beside the one that is in force.
   *
   * @returns What to do when it has its turn.
   * @throws When it does not work, or cannot be proven.
   */
  readonly prepare: (config: Config) => Promise<() => ConfigurationSwitch>
  readonly turns: Turns
  readonly ledger: Pick<Ledger, 'append'>
  readonly clock: Clock
  readonly onLoaded: (loaded: LoadedConfiguration) => void
  readonly onRefused: (refused: RefusedConfiguration) => void
  /** The files say again what is in force. */
  readonly onReturned: () => void
}

export interface ConfigurationSwitch {
  /** What else follows from it. */
  readonly entries: readonly Entry[]
  /** At once and for everybody. Cannot fail. */
  putIntoForce(): void
}

export interface LoadedConfiguration {
  readonly changes: ConfigChanges
  /** Of the files; none of them keeps it from being in force. */
  readonly warnings: readonly ConfigurationProblem[]
}

/** Why what the files say is not in force. */
export interface RefusedConfiguration {
  readonly problems: readonly ConfigurationProblem[]
  /** It did not work, or could not be proven. */
  readonly error?: unknown
}

export function createConfigurationReload(deps: ConfigurationReloadDeps): ConfigurationReload {
  const { turns, ledger, clock } = deps
  const [file = ''] = deps.files
  const folder = dirname(file)
  let known: KnownConfig | undefined
  let { files } = deps
  let standing: ConfigurationStanding = 'in-force'
  /** Of the files whose meaning is known: looking again before they change finds nothing new. */
  let settled: string | undefined

  const inForce = async () => (known ??= await knownConfig(deps.config, folder))

  const refuse = (refused: RefusedConfiguration) => {
    standing = 'differs'
    deps.onRefused(refused)
  }

  /** @returns Whether it is of no use to try the same again. */
  const putIntoForce = async (
    config: Config,
    warnings: readonly ConfigurationProblem[],
  ): Promise<boolean> => {
    const before = await inForce()
    const fixed = restartSettings(before.config, config)
    if (fixed.length > 0) {
      refuse({ problems: fixed.map((setting) => restartNeeded(file, setting)) })
      return true
    }
    const next = await knownConfig(config, folder)
    if (saysTheSame(before, next)) {
      if (standing === 'differs') deps.onReturned()
      standing = 'in-force'
      return true
    }
    const prepared = await deps.prepare(config).catch((error: unknown) => {
      refuse({ problems: [], error })
    })
    // Whatever keeps it from being proven may be mended where no file of ours changes.
    if (prepared === undefined) return false
    const changes = configChanges(before, next)
    standing = 'differs'
    await turns(async () => {
      const following = prepared()
      const entry = configurationLoaded(next, clock.nowMs(), changes)
      await ledger.append([entry, ...following.entries])
      following.putIntoForce()
      known = next
    })
    standing = 'in-force'
    deps.onLoaded({ changes, warnings })
    return true
  }

  const lookOnce = async () => {
    // Before they are read: what is written meanwhile is looked at again.
    const state = await fileState(files)
    if (state === settled) return
    const loaded = await deps.load(file)
    const isSame = loaded.files.join('\n') === files.join('\n')
    files = loaded.files
    let isSettled = true
    if (loaded.ok) isSettled = await putIntoForce(loaded.config, loaded.warnings)
    else refuse({ problems: loaded.problems })
    settled = isSettled && isSame ? state : undefined
  }

  const look = createLooks(lookOnce)
  return {
    first: async () => configurationLoaded(await inForce(), clock.nowMs()),
    look,
    lookAnew: () => {
      settled = undefined
      return look()
    },
    get standing() {
      return standing
    },
    get files() {
      return files
    },
  }
}

const restartNeeded = (file: string, setting: string): ConfigurationProblem => ({
  file,
  line: 1,
  rule: 'config.restart-needed',
  message: `\`${setting}\` cannot change while the service runs: restart it, or undo the change. Until then nothing else of the file is in force either.`,
  severity: 'error',
})

function configurationLoaded(
  { config, sha256 }: KnownConfig,
  atMs: number,
  changes?: ConfigChanges,
): ConfigurationLoaded {
  return {
    kind: 'configuration.loaded',
    atMs,
    sha256,
    applications: config.applications.length,
    issuers: config.issuers.length,
    ...(changes === undefined ? {} : changesOnRecord(changes)),
  }
}
