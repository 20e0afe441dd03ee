import type { ConfigurationProblem } from '../base/configuration-problem.ts'
import type { Config } from '../config/config.ts'
import { loadConfig } from '../config/load-config.ts'
import type { NamedFiles } from '../config/named-files.ts'
import { type CompiledGrants, compileGrants } from '../policy/compile-grants.ts'
import { readGrantFolder } from '../policy/grant-folder.ts'

/** The configuration and its grants. What is wrong with the grants does not keep the others from applying. */
export type LoadedAll =
  | { readonly ok: false; readonly problems: readonly ConfigurationProblem[] }
  | {
      readonly ok: true
      readonly config: Config
      /** `countersign.yaml` first, and those that it names; absolute. */
      readonly configFiles: readonly string[]
      readonly policy: CompiledGrants
      readonly problems: readonly ConfigurationProblem[]
    }

/** What is needed to serve: `countersign.yaml`, the files and the folder of grants that it names. Never throws. */
export async function loadAll(
  file: string,
  nowSeconds: number,
  namedFiles: NamedFiles = 'must-be-here',
): Promise<LoadedAll> {
  const loaded = await loadConfig(file, nowSeconds, namedFiles)
  if (!loaded.ok) return loaded
  const { config, warnings, files } = loaded
  const folder = await readGrantFolder(config.grants.folder)
  const policy = compileGrants(folder.files, config, nowSeconds)
  return {
    ok: true,
    config,
    configFiles: files,
    policy,
    problems: [...warnings, ...folder.problems, ...policy.problems],
  }
}
