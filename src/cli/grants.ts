import { inspect } from 'node:util'
import { Command, InvalidArgumentError } from 'commander'
import { isoTimeFrom, systemClock } from '../base/clock.ts'
import { formatProblem } from '../base/configuration-problem.ts'
import { readEnvironment } from '../config/environment.ts'
import { decidedEntries } from '../ledger/decided-entries.ts'
import {
  type GrantStandingInUse,
  type GrantUse,
  grantUseIn,
  standingIn,
} from '../ledger/grant-use.ts'
import type { CompiledGrants } from '../policy/compile-grants.ts'
import type { Grant } from '../policy/grant.ts'
import { CommandError } from './command-error.ts'
import { counted } from './counted.ts'
import {
  isExpectedOfDecisions,
  ledgerNamedBy,
  ledgerOptions,
  passwordNote,
} from './ledger-options.ts'
import type { LedgerOptions } from './ledger-options.ts'
import { loadAll } from './load-all.ts'
import { problemNamedLike } from './problem-place.ts'
import { powerText } from './widening-text.ts'

interface GrantsOptions extends LedgerOptions {
  readonly unused?: number
  readonly json?: true
}

const undecided = 2

const example = `
Example, in a job that runs once a week:
  $ countersign grants --unused 90d
  UNUSED: 1 of 12 grants.
  grant old-export, never used, known since 2026-03-02T09:12:44.000Z
    token events https://eventhubs.azure.net/.default in fab00000-…

A use is an entry of the ledger that names the grant, for a caller: also one that was granted and then
failed. What the service refreshes ahead is nobody's use. A grant in dry-run is used when it would
have given something. The ledger is only read, also while the service runs, and is not verified:
\`ledger verify\` does that.

A grant that the ledger does not know for so long is young, not unused. It knows a grant from its first
use, or from the load that added it; after a restart with other grants, from then on alone; and not
at all while the folder is not what the service loaded last.

Exits with
  0  there is nothing unused, or --unused is not asked for
  1  with --unused: some grant is
  2  it could not be decided: a configuration, a grant or a ledger that cannot be read, a wrong option
`

export function grantsCommand(): Command {
  return (
    ledgerOptions(
      new Command('grants').description(
        'Lists the grants with what they allow, and when each was last used.',
      ),
      'names the grants, and the ledger',
    )
      .option('--unused <period>', 'only those not used for so long, such as 90d', parsePeriod)
      .option('--json', 'all of it for programs')
      .addHelpText('after', example + passwordNote)
      // Commander's own 1 would say that some grant is unused.
      .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : undecided))
      .action(runGrants)
  )
}

/** A grant, and how it stands. */
interface ListedGrant {
  readonly grant: Grant
  readonly use: GrantUse
  /** Absent when no period is asked for. */
  readonly standing?: GrantStandingInUse
}

async function runGrants(options: GrantsOptions, command: Command): Promise<void> {
  try {
    const listed = await grantsListed(options, systemClock.nowMs())
    const print = options.json === true ? jsonLines : textLines
    for (const line of print(listed)) console.log(line)
    process.exitCode = listed.some(({ standing }) => standing === 'unused') ? 1 : 0
  } catch (error) {
    // Whatever went wrong, nothing was decided: Node's own 1 would say that some grant is unused.
    command.error(`grants: ${isExpectedOfDecisions(error) ? error.message : inspect(error)}`)
  }
}

async function grantsListed(
  options: GrantsOptions,
  nowMs: number,
): Promise<readonly ListedGrant[]> {
  const file = options.config ?? readEnvironment().configFile
  const { policy, sha256 } = await soundGrants(file, nowMs)
  const { source } = await ledgerNamedBy({ ...options, config: file })
  const uses = await grantUseIn(
    decidedEntries(source),
    policy.grants.map(({ name }) => name),
    sha256,
  )
  const { unused: periodMs } = options
  return policy.grants.map((grant) => {
    const use = uses.get(grant.name) ?? {}
    return periodMs === undefined
      ? { grant, use }
      : { grant, use, standing: standingIn(use, nowMs, periodMs) }
  })
}

async function soundGrants(file: string, nowMs: number): Promise<CompiledGrants> {
  const loaded = await loadAll(file, Math.floor(nowMs / 1000), 'may-be-elsewhere')
  const errors = loaded.problems.filter(({ severity }) => severity === 'error')
  for (const problem of errors.map(problemNamedLike(file))) console.error(formatProblem(problem))
  if (loaded.ok && errors.length === 0) return loaded.policy
  throw new CommandError('the configuration does not load: see above')
}

function textLines(listed: readonly ListedGrant[]): readonly string[] {
  const isAsked = listed.some(({ standing }) => standing !== undefined)
  if (!isAsked) return listed.flatMap(linesOf)
  const unused = listed.filter(({ standing }) => standing === 'unused')
  const young = listed.filter(({ standing }) => standing === 'young')
  return [
    `${unused.length === 0 ? 'NONE UNUSED' : 'UNUSED'}: ${unused.length} of ${counted(listed.length, 'grant')}.`,
    ...unused.flatMap(linesOf),
    ...young.map((one) => `${headOf(one)}: young`),
  ]
}

const linesOf = (one: ListedGrant): readonly string[] => [
  headOf(one),
  ...powersOf(one.grant).map((power) => `  ${powerText(power)}`),
]

function headOf({ grant, use: { lastUsedMs, lastTriedMs, knownSinceMs } }: ListedGrant): string {
  return [
    `grant ${grant.name}`,
    lastUsedMs === undefined ? 'never used' : `last used ${isoTimeFrom(lastUsedMs)}`,
    ...(grant.mode === 'dry-run' ? ['in dry-run'] : []),
    ...(lastTriedMs === undefined ? [] : [`last tried ${isoTimeFrom(lastTriedMs)}`]),
    knownSinceMs === undefined
      ? 'not known to the ledger'
      : `known since ${isoTimeFrom(knownSinceMs)}`,
  ].join(', ')
}

const powersOf = ({ permissions }: Grant) =>
  [...permissions].flatMap(([power, terms]) =>
    terms.map(({ tenants, ...others }) => ({ power, tenants: [...tenants].toSorted(), ...others })),
  )

const jsonLines = (listed: readonly ListedGrant[]): readonly string[] => [
  JSON.stringify({
    grants: listed.map(({ grant, use, standing }) => ({
      grant: grant.name,
      issuer: grant.issuer,
      ...(grant.mode === undefined ? {} : { mode: grant.mode }),
      powers: powersOf(grant),
      ...use,
      ...(standing === undefined ? {} : { standing }),
    })),
  }),
]

const dayMs = 86_400_000

function parsePeriod(text: string): number {
  const days = /^([1-9]\d{0,3})d$/.exec(text)?.[1]
  if (days !== undefined) return Number(days) * dayMs
  throw new InvalidArgumentError('It is not a number of days such as 90d.')
}
