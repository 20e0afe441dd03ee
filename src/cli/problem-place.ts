import { isAbsolute, relative } from 'node:path'
import type { ConfigurationProblem } from '../base/configuration-problem.ts'

/** Names the file of a problem as the operator named the configuration: from here on, or from the root. */
export const problemNamedLike =
  (named: string) =>
  (problem: ConfigurationProblem): ConfigurationProblem =>
    isAbsolute(named) || !isAbsolute(problem.file)
      ? problem
      : { ...problem, file: relative('.', problem.file) }
