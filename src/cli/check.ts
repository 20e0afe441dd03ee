import { Command, Option } from 'commander'
import { systemClock } from '../base/clock.ts'
import { byPlace, type ConfigurationProblem } from '../base/configuration-problem.ts'
import type { ApplicationConfig, Config } from '../config/config.ts'
import { readEnvironment } from '../config/environment.ts'
import { loadConfig } from '../config/load-config.ts'
import { compileGrants, type CompiledGrants } from '../policy/compile-grants.ts'
import type { GrantSurroundings } from '../policy/grant-checks.ts'
import { readGrantFolder } from '../policy/grant-folder.ts'
import type { Policy } from '../policy/policy.ts'
import { sharedPowers } from '../policy/shared-powers.ts'
import { type CheckFormat, checkFormats, type CheckReport, reportLines } from './check-report.ts'
import { counted, tenantsIn } from './counted.ts'
import { problemNamedLike } from './problem-place.ts'

const example = `
Example, in a pull request that changes a grant:
  $ countersign check --config countersign.yaml
  grants/billing-export.yaml:4: grant.tenant-not-listed: \`may[0].tenant\` is not among …

The same, shown beside the lines of the pull request:
  $ countersign check --format github
  $ countersign check --format gitlab > gl-code-quality-report.json

Exits with 1 when there is an error; warnings alone exit with 0.
`

export function checkCommand(): Command {
  return new Command('check')
    .description(
      'Reports every problem of countersign.yaml and its grants, with file, line and rule. Reaches nothing but these files.',
    )
    .option('--config <file>', 'countersign.yaml (COUNTERSIGN_CONFIG)')
    .addOption(
      new Option('--format <format>', 'who reads it: a person, GitHub Actions or GitLab')
        .choices(checkFormats)
        .default('text'),
    )
    .addHelpText('after', example)
    .action(async ({ config, format }: CheckOptions) => {
      const file = config ?? readEnvironment().configFile
      const report = await check(file, systemClock.nowSeconds())
      for (const line of reportLines(report, format)) console.log(line)
      if (report.errors > 0) process.exitCode = 1
    })
}

interface CheckOptions {
  readonly config?: string
  readonly format: CheckFormat
}

/** @param file As the operator named it; the files of grants are named in the same way. */
export async function check(file: string, nowSeconds: number): Promise<CheckReport> {
  const loaded = await loadConfig(file, nowSeconds)
  const surroundings = loaded.ok ? loaded.config : loaded.outline
  const grants = await checkGrants(surroundings, nowSeconds)
  const problems = [...(loaded.ok ? loaded.warnings : loaded.problems), ...grants.problems]
    .map(problemNamedLike(file))
    .toSorted(byPlace)
  const errors = problems.filter(({ severity }) => severity === 'error').length
  if (errors > 0 || !loaded.ok || grants.compiled === undefined) {
    return { problems, summary: [countOf(problems)], errors }
  }
  return { problems, summary: summaryOf(loaded.config, grants.compiled), errors }
}

interface CheckedGrants {
  readonly problems: readonly ConfigurationProblem[]
  readonly compiled?: CompiledGrants
}

type Surroundings = GrantSurroundings & {
  readonly grants: { readonly folder: string } | undefined
}

/** Even of a broken configuration, as far as it can be read: all that is wrong is told in one run. */
async function checkGrants(
  surroundings: Surroundings | undefined,
  nowSeconds: number,
): Promise<CheckedGrants> {
  if (surroundings?.grants === undefined) return { problems: [] }
  const folder = await readGrantFolder(surroundings.grants.folder)
  const compiled = compileGrants(folder.files, surroundings, nowSeconds)
  return { problems: [...folder.problems, ...compiled.problems], compiled }
}

function countOf(problems: readonly ConfigurationProblem[]): string {
  const warnings = problems.filter(({ severity }) => severity === 'warning').length
  const errors = counted(problems.length - warnings, 'error')
  return warnings === 0 ? errors : `${errors}, ${counted(warnings, 'warning')}`
}

function summaryOf(config: Config, { policy }: CompiledGrants): readonly string[] {
  const { applications, issuers } = config
  const tenants = new Set(applications.flatMap((application) => application.tenants))
  return [
    [
      counted(applications.length, 'application'),
      counted(tenants.size, 'tenant'),
      counted(issuers.length, 'issuer'),
      grantsIn(policy),
    ].join(', '),
    ...applications.filter(({ handOut }) => handOut).map(handOutNote),
    ...sharingNotes(config),
    ...policy.grants.filter(isOfAdministrators).map(administratorsNote),
    ...policy.grants.filter(isOfAuditors).map(auditorsNote),
    ...sharedPowers(policy).map(
      ({ power, tenants: shared, issuers: sharers }) =>
        `${power}: callers of ${sharers.join(' and ')} share it in ${tenantsIn(shared)}; powers that must be separate need separate applications.`,
    ),
    'The configuration is sound.',
  ]
}

function grantsIn({ grants }: Policy): string {
  const tried = grants.filter(({ mode }) => mode === 'dry-run').length
  const all = counted(grants.length, 'grant')
  return tried === 0 ? all : `${all} (${tried} in dry-run)`
}

const handOutNote = ({ name, tenants }: ApplicationConfig) =>
  `${name} hands out assertions: whoever holds one has every permission of it in these tenants: ${tenantsIn(tenants)}.`

const isOfAdministrators = ({ mayRevoke, mode }: Policy['grants'][number]) =>
  mayRevoke === true && mode === undefined

const administratorsNote = ({ name, issuer }: Policy['grants'][number]) =>
  `${name} lets callers of ${issuer} stop everything, and let it go on.`

const isOfAuditors = ({ mayAudit, mode }: Policy['grants'][number]) =>
  mayAudit === true && mode === undefined

const auditorsNote = ({ name, issuer }: Policy['grants'][number]) =>
  `${name} lets callers of ${issuer} read the whole ledger: who asked for what, everywhere.`

const sharingNotes = ({ ledger, tokenCache }: Config): readonly string[] =>
  ledger.kind === 'postgres' && tokenCache.wrappingKey === undefined
    ? [
        'Replicas share the ledger, and each obtains tokens for itself: tokenCache.wrappingKey would let them share tokens too.',
      ]
    : []
