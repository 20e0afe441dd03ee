import { Command } from 'commander'
import { systemClock } from '../base/clock.ts'
import { formatProblem } from '../base/configuration-problem.ts'
import { nameRule, parseApplicationName, parseScope, parseTenantId } from '../base/ids.ts'
import type { Config } from '../config/config.ts'
import { readEnvironment } from '../config/environment.ts'
import { explain, type ExplainedAsk } from '../policy/explain.ts'
import type { Policy } from '../policy/policy.ts'
import { CommandError } from './command-error.ts'
import { explainedCaller, type ExplainedCallerOptions } from './explained-caller.ts'
import { explanationLines } from './explanation.ts'
import { loadAll } from './load-all.ts'

export interface ExplainOptions extends ExplainedCallerOptions {
  readonly config?: string
  readonly application?: string
  readonly tenant?: string
  readonly scope?: string
  readonly assertion?: true
  readonly lifetimeSeconds?: string
  readonly admin?: string
  readonly audit?: string
}

const example = `
Examples:
  $ countersign explain --token job.jwt --application events --tenant fab00000-… --scope https://orders.example/.default
  REFUSED: no grant gives this.
  grant release: claim ref is "refs/heads/dev", and must be "refs/heads/main" or like "refs/heads/release/*"

  For somebody who has a client certificate, and may have to stop something one day:
  $ countersign explain --certificate on-call.pem --admin revoke

  In a pull request, for claims that nobody has a token of yet:
  $ countersign explain --issuer github --claims job-claims.json --application events --tenant fab00000-… --assertion

A token is proven as the service proves it, by keys that its issuer is asked for; one that is bound to a
key counts here as if the proof of that key came with it, and a certificate as if its holder had shown it.
Claims are taken as proven. Limits and revocations are not looked at: they depend on who else asks, and on what
was stopped meanwhile.

Exits with
  0  the service would grant this
  1  the service would refuse it
  2  it could not be decided: a configuration that does not load, a file that is not there, an issuer
     that does not answer
`

export function explainCommand(): Command {
  return new Command('explain')
    .description(
      'Says what the service would answer to a caller, and why: the grant that gives it, or the nearest grants and what of each is missed.',
    )
    .option('--config <file>', 'countersign.yaml (COUNTERSIGN_CONFIG)')
    .option('--token <file>', "the caller's token; - reads standard input. It is never printed")
    .option(
      '--certificate <file>',
      'instead of a token: PEM of a client certificate, its own first, then the CAs that are sent along',
    )
    .option('--issuer <name>', 'with --claims: who vouches for them')
    .option('--claims <file>', 'instead of a token: a JSON object of claims')
    .option('--application <name>', 'what the caller asks for: application,')
    .option('--tenant <guid>', 'tenant,')
    .option('--scope <scope>', 'and one resource and /.default (a token)')
    .option('--assertion', 'or an assertion')
    .option('--lifetime-seconds <seconds>', 'of the assertion; what the grant says unless given')
    .option('--admin <what>', 'instead of all these: revoke, for who may stop things')
    .option('--audit <what>', 'likewise: read, for who may read the ledger')
    .addHelpText('after', example)
    .action(async (options: ExplainOptions, command: Command) => {
      try {
        const { lines, granted } = await explained(options)
        for (const line of lines) console.log(line)
        process.exitCode = granted ? 0 : 1
      } catch (error) {
        if (!(error instanceof CommandError)) throw error
        command.error(`explain: ${error.message}`, { exitCode: 2 })
      }
    })
}

export interface Explained {
  readonly lines: readonly string[]
  readonly granted: boolean
}

/** @throws CommandError where it cannot be decided. */
export async function explained(options: ExplainOptions): Promise<Explained> {
  const ask = askFrom(options)
  const { config, policy } = await configured(options.config)
  const proof = await explainedCaller(options, config)
  if (!proof.ok) return { lines: [`REFUSED: nobody is proven. ${proof.why}`], granted: false }
  const { caller } = proof
  const findings = explain(policy, caller, ask, systemClock.nowSeconds())
  return explanationLines(caller, ask, findings)
}

/** Broken grants grant nothing, here as there, and are named; a broken configuration ends it. */
async function configured(
  file: string | undefined,
): Promise<{ readonly config: Config; readonly policy: Policy }> {
  const loaded = await loadAll(file ?? readEnvironment().configFile, systemClock.nowSeconds())
  const errors = loaded.problems.filter(({ severity }) => severity === 'error')
  for (const problem of errors) console.error(formatProblem(problem))
  if (!loaded.ok) throw new CommandError('the configuration does not load: see above')
  return { config: loaded.config, policy: loaded.policy.policy }
}

function askFrom(options: ExplainOptions): ExplainedAsk {
  const { application, tenant, scope, assertion, lifetimeSeconds, admin, audit } = options
  if (admin === undefined && audit === undefined) return tokenOrAssertionFrom(options)
  const others = [application, tenant, scope, assertion, lifetimeSeconds]
  const isAlone = others.every((one) => one === undefined)
  if (admin === 'revoke' && audit === undefined && isAlone) return { want: 'revocation' }
  if (audit === 'read' && admin === undefined && isAlone) return { want: 'audit' }
  throw new CommandError(
    '--admin must be revoke, and --audit read, alone: they are of no application and tenant',
  )
}

function tokenOrAssertionFrom({
  scope,
  assertion,
  lifetimeSeconds,
  ...named
}: ExplainOptions): ExplainedAsk {
  const application = parseApplicationName(named.application ?? '')
  if (application === undefined) throw new CommandError(`--application must be a name: ${nameRule}`)
  const tenant = parseTenantId(named.tenant ?? '')
  if (tenant === undefined) throw new CommandError('--tenant must be a GUID')
  if ((scope === undefined) === (assertion === undefined)) {
    throw new CommandError('give either --scope SCOPE (a token) or --assertion')
  }
  if (scope === undefined) {
    const seconds = lifetimeFrom(lifetimeSeconds)
    const lifetime = seconds === undefined ? {} : { lifetimeSeconds: seconds }
    return { want: 'assertion', application, tenant, ...lifetime }
  }
  const parsed = parseScope(scope)
  if (parsed === undefined) {
    throw new CommandError(
      '--scope must be one resource and /.default, such as https://vault.azure.net/.default',
    )
  }
  return { want: 'token', application, tenant, scope: parsed }
}

function lifetimeFrom(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const seconds = Number(text)
  if (Number.isInteger(seconds) && seconds >= 1 && seconds <= 600) return seconds
  throw new CommandError('--lifetime-seconds must be a whole number from 1 to 600')
}
