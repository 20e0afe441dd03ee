import { hash } from 'node:crypto'
import { type ConfigurationProblem, formatProblem } from '../base/configuration-problem.ts'

/** What `countersign check` has found out. */
export interface CheckReport {
  /** By file and line, each file as the operator named it. */
  readonly problems: readonly ConfigurationProblem[]
  /** What it comes to. */
  readonly summary: readonly string[]
  readonly errors: number
}

/** Who reads it: a person, GitHub Actions (a workflow's log), or GitLab (a Code Quality report). */
export const checkFormats = ['text', 'github', 'gitlab'] as const
export type CheckFormat = (typeof checkFormats)[number]

export function reportLines(report: CheckReport, format: CheckFormat): readonly string[] {
  switch (format) {
    case 'text':
      return [...report.problems.map(formatProblem), ...report.summary]
    case 'github':
      return [...report.problems.map(workflowCommand), ...report.summary]
    case 'gitlab':
      return [JSON.stringify(report.problems.map(codeQualityIssue), undefined, 2)]
  }
}

/**
 * What GitHub shows beside the line in a pull request.
 *
 * @see GitHub, "Workflow commands for GitHub Actions", setting an error or a warning message
 */
function workflowCommand({ file, line, rule, message, severity }: ConfigurationProblem): string {
  const properties = Object.entries({ file, line: String(line), title: rule })
    .map(([name, value]) => `${name}=${escapeProperty(value)}`)
    .join(',')
  return `::${severity} ${properties}::${escapeMessage(message)}`
}

/** As GitHub's own toolkit writes them: a line is one command, and a percent sign begins what is escaped. */
const escapeMessage = (text: string) =>
  text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A')

const escapeProperty = (text: string) =>
  escapeMessage(text).replaceAll(':', '%3A').replaceAll(',', '%2C')

/** @see GitLab, "Code Quality", the format of a report */
const codeQualityIssue = (
  { file, line, rule, message, severity }: ConfigurationProblem,
  index: number,
  all: readonly ConfigurationProblem[],
) => ({
  description: message,
  check_name: rule,
  fingerprint: sha256Of([file, rule, message, countBefore(index, all)]),
  severity: severity === 'error' ? 'blocker' : 'minor',
  location: { path: file, lines: { begin: line } },
})

/**
 * How many of the problems before it are of the same words: each is told apart by that and not by where
 * it is, so that a line that moves is not a new problem.
 */
const countBefore = (index: number, all: readonly ConfigurationProblem[]) =>
  all
    .slice(0, index)
    .filter((one) => one.file === all[index]?.file && one.message === all[index].message).length

const sha256Of = (parts: readonly unknown[]) => hash('sha256', JSON.stringify(parts))
