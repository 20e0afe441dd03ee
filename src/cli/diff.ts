import { statSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { inspect } from 'node:util'
import { Command } from 'commander'
import { systemClock } from '../base/clock.ts'
import { byPlace, formatProblem } from '../base/configuration-problem.ts'
import { defaultSchema } from '../base/postgres-url.ts'
import type { Config } from '../config/config.ts'
import { configWidenings } from '../config/config-widening.ts'
import { portableConfig } from '../config/portable-config.ts'
import { decidedEntries } from '../ledger/decided-entries.ts'
import { callersIn } from '../ledger/seen-callers.ts'
import { callerGains } from '../policy/caller-gains.ts'
import type { Policy } from '../policy/policy.ts'
import { newlySharedPowers } from '../policy/shared-powers.ts'
import { grantWidenings } from '../policy/widening.ts'
import { CommandError } from './command-error.ts'
import { isExpectedOfDecisions, ledgerNamedBy, passwordNote } from './ledger-options.ts'
import { loadAll } from './load-all.ts'
import { problemNamedLike } from './problem-place.ts'
import { differenceLines, type Differences, isNothing, type Sides } from './widening-text.ts'

interface DiffOptions {
  readonly ledger?: string
  readonly schema?: string
  readonly json?: true
}

const undecided = 2

const example = `
Example, in a pull request, with the branch that it goes to checked out beside it:
  $ countersign diff ../main/countersign.yaml countersign.yaml
  WIDENED: 1 part lets callers do what they could not do before.
  grant release
    claim ref may also be like "refs/heads/release/*"
    gives token events https://orders.example/.default in fab00000-…

Every widening is named, and sometimes more than that counts as one:
  - what a caller had by several grants together, and has by one now;
  - a grant under another name whose uses are limited, as those of assertions always are: each name has a
    limit of its own;
  - isolate, whichever way it changes, and every change that this release cannot judge: of certificates,
    client ids, authorities, where the service listens, and settings that it does not know;
  - an application or issuer that is new, or lists more tenants, before any grant names it.
With --ledger it also says which of the callers in it can newly do something. Entries hold no claims: what
is known of a caller is its issuer and its subject, and it is taken to be as the grants that named it ask, by
what they say in the old configuration. Where that does not tell, it says what else must hold. Callers that no
entry names, and these with other claims, may gain all the same. The ledger is only read.

What expires or ends meanwhile is not looked at: an end counts as later when it is later.

Exits with
  0  nothing is widened
  1  something is
  2  it could not be decided: a configuration, grant or ledger that cannot be read, a wrong option
`

export function diffCommand(): Command {
  return (
    new Command('diff')
      .description('Says who can do what that they could not do before, by two configurations.')
      .argument('<old>', 'countersign.yaml as it was, or its folder')
      .argument('<new>', 'countersign.yaml as it is to be, or its folder')
      .option(
        '--ledger <file or URL>',
        'says it of the callers of this ledger too: a file, postgres://…, or a file that holds such a URL',
      )
      .option('--schema <name>', `schema of its tables in PostgreSQL; otherwise ${defaultSchema}`)
      .option('--json', 'the whole of it for programs')
      .addHelpText('after', example + passwordNote)
      // Commander's own 1 would say that something is widened.
      .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : undecided))
      .action(runDiff)
  )
}

async function runDiff(
  oldPath: string,
  newPath: string,
  options: DiffOptions,
  command: Command,
): Promise<void> {
  try {
    const before = await reviewed(oldPath)
    const after = await reviewed(newPath)
    if (before === undefined || after === undefined) {
      throw new CommandError('nothing is compared: see above')
    }
    const differences = await differencesWith(options, before, after)
    const lines =
      options.json === true ? [JSON.stringify(differences)] : differenceLines(differences)
    for (const line of lines) console.log(line)
    process.exitCode = isNothing(differences.widened) ? 0 : 1
  } catch (error) {
    // Whatever went wrong, nothing was decided: Node's own 1 would say that something is widened.
    command.error(`diff: ${isExpectedOfDecisions(error) ? error.message : inspect(error)}`)
  }
}

interface Reviewed {
  readonly config: Config
  readonly policy: Policy
}

/** Undefined when it does not load, or a grant of it does not: what is wrong is said as `check` says it. */
async function reviewed(path: string): Promise<Reviewed | undefined> {
  const file = configurationAt(path)
  const loaded = await loadAll(file, systemClock.nowSeconds(), 'may-be-elsewhere')
  const errors = loaded.problems.filter(({ severity }) => severity === 'error')
  const said = errors.map(problemNamedLike(file)).toSorted(byPlace)
  for (const problem of said) console.error(formatProblem(problem))
  if (!loaded.ok || errors.length > 0) return undefined
  const config = await portableConfig(loaded.config, resolve(dirname(file)))
  return { config, policy: loaded.policy.policy }
}

const configurationAt = (path: string) =>
  statSync(path, { throwIfNoEntry: false })?.isDirectory() === true
    ? join(path, 'countersign.yaml')
    : path

async function differencesWith(
  { ledger, schema }: DiffOptions,
  before: Reviewed,
  after: Reviewed,
): Promise<Differences> {
  const differences = differencesBetween(before, after)
  if (ledger === undefined) return differences
  const { source } = await ledgerNamedBy({ ledger, ...(schema === undefined ? {} : { schema }) })
  const { callers, cut } = await callersIn(decidedEntries(source))
  const gaining = callers
    .map((caller) => {
      const { grants } = differences.widened
      const gains = callerGains(before.policy, after.policy, grants, caller)
      return { issuer: caller.issuer, subject: caller.subject, gains }
    })
    .filter(({ gains }) => gains.length > 0)
  return { ...differences, callers: { seen: callers.length, cut, gaining } }
}

const differencesBetween = (before: Reviewed, after: Reviewed): Differences => ({
  widened: sides(before, after),
  narrowed: sides(after, before),
  shared: newlySharedPowers(before.policy, after.policy),
})

const sides = (before: Reviewed, after: Reviewed): Sides => ({
  grants: grantWidenings(before.policy, after.policy),
  configuration: configWidenings(before.config, after.config),
})
