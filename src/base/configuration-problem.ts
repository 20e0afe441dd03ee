/** One thing that is wrong in a file that an operator wrote. */
export interface ConfigurationProblem {
  /** As the operator named it, relative or not. */
  readonly file: string
  /** 1-based; 1 when the whole file is meant. */
  readonly line: number
  /** Stable name of the rule that is broken, such as `application.tenant-not-a-guid`. */
  readonly rule: string
  /** What is wrong and what to do, in one or two sentences. */
  readonly message: string
  /** A warning does not keep the service from starting. */
  readonly severity: 'error' | 'warning'
}

/** `countersign.yaml:12: application.unknown-certificate: …`, the form editors and CI jump to. */
export function formatProblem(problem: ConfigurationProblem): string {
  const warning = problem.severity === 'warning' ? 'warning: ' : ''
  return `${problem.file}:${problem.line}: ${warning}${problem.rule}: ${problem.message}`
}

/** By file, then by line: the order in which people mend them. */
export function byPlace(a: ConfigurationProblem, b: ConfigurationProblem): number {
  if (a.file !== b.file) return a.file < b.file ? -1 : 1
  return a.line - b.line
}
