import { expect, test } from 'vitest'
import type { ConfigurationProblem } from '../../../src/base/configuration-problem.ts'
import { type CheckReport, reportLines } from '../../../src/cli/check-report.ts'

const problem: ConfigurationProblem = {
  file: 'grants/a,b.yaml',
  line: 7,
  rule: 'grant.unknown-issuer',
  message: 'It is 100 % unknown: write\nanother.',
  severity: 'error',
}
const warning: ConfigurationProblem = { ...problem, line: 9, severity: 'warning' }
const report: CheckReport = {
  problems: [problem, warning],
  summary: ['1 error, 1 warning'],
  errors: 1,
}

test('for GitHub a problem is one line, whatever is in its words', () => {
  expect(reportLines(report, 'github')).toEqual([
    '::error file=grants/a%2Cb.yaml,line=7,title=grant.unknown-issuer::It is 100 %25 unknown: write%0Aanother.',
    '::warning file=grants/a%2Cb.yaml,line=9,title=grant.unknown-issuer::It is 100 %25 unknown: write%0Aanother.',
    '1 error, 1 warning',
  ])
})

const issuesOf = (...problems: readonly ConfigurationProblem[]) =>
  JSON.parse(reportLines({ ...report, problems }, 'gitlab').join('\n')) as readonly Readonly<
    Record<string, unknown>
  >[]

test('for GitLab it is a list and nothing else', () => {
  const [one, other] = issuesOf(problem, warning)
  expect(one).toMatchObject({
    description: problem.message,
    check_name: problem.rule,
    severity: 'blocker',
    location: { path: problem.file, lines: { begin: 7 } },
  })
  expect(other).toMatchObject({ severity: 'minor' })
  expect(issuesOf()).toEqual([])
})

test('for GitLab a problem whose line moves is the same one, and two are two', () => {
  const fingerprints = (...lines: readonly number[]) =>
    issuesOf(...lines.map((line) => ({ ...problem, line }))).map((issue) => issue['fingerprint'])
  expect(fingerprints(7)).toEqual(fingerprints(70))
  expect(new Set(fingerprints(7, 9)).size).toBe(2)
})
