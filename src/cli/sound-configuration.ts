import type { Command } from 'commander'
import { formatProblem } from '../base/configuration-problem.ts'
import type { LoadedDocument } from '../config/load-document.ts'
import type { NamedFiles } from '../config/named-files.ts'
import { problemNamedLike } from './problem-place.ts'

interface ConfigurationFlags {
  readonly config: string
  readonly check?: true
}

/** Says what is wrong with the configuration of a verb; ends the program unless what is left is sound. */
export async function soundConfiguration<Config>(
  flags: ConfigurationFlags,
  load: (file: string, namedFiles: NamedFiles) => Promise<LoadedDocument<Config>>,
  command: Command,
): Promise<Config> {
  const isCheck = flags.check === true
  const loaded = await load(flags.config, isCheck ? 'may-be-elsewhere' : 'must-be-here')
  const problems = loaded.ok ? loaded.warnings : loaded.problems
  const say = isCheck ? console.log : console.error
  for (const problem of problems) say(formatProblem(problemNamedLike(flags.config)(problem)))
  if (loaded.ok) return loaded.config
  const outcome = isCheck ? 'see' : 'not started, because of'
  return command.error(`${command.name()}: ${outcome} the problems above`)
}
