import { readFileSync } from 'node:fs'
import { Command } from 'commander'
import { z } from 'zod'
import { claimsMatch } from '../base/claim-rules.ts'
import { systemClock } from '../base/clock.ts'
import { formatProblem } from '../base/configuration-problem.ts'
import {
  nameRule,
  parseApplicationName,
  parseIssuerName,
  parseScope,
  parseTenantId,
} from '../base/ids.ts'
import { printable } from '../base/printable.ts'
import { Secret } from '../base/secret.ts'
import type { Config } from '../config/config.ts'
import { readEnvironment } from '../config/environment.ts'
import type { Ask, CallerFacts } from '../policy/decision.ts'
import { explain } from '../policy/explain.ts'
import type { Policy } from '../policy/policy.ts'
import { CommandError } from './command-error.ts'
import { explanationLines } from './explanation.ts'
import { loadAll } from './load-all.ts'

interface ExplainOptions {
  readonly config?: string
  readonly token?: string
  readonly issuer?: string
  readonly claims?: string
  readonly application: string
  readonly tenant: string
  readonly scope?: string
  readonly assertion?: true
  readonly lifetimeSeconds?: string
}

const example = `
Examples:
  $ countersign explain --token job.jwt --application events --tenant fab00000-… --scope https://orders.example/.default
  REFUSED: no grant gives this.
  grant release: claim ref is "refs/heads/dev", and must be "refs/heads/main" or like "refs/heads/release/*"

  In a pull request, for claims that nobody has a token of yet:
  $ countersign explain --issuer github --claims job-claims.json --application events --tenant fab00000-… --assertion

A token is proven as the service proves it, by keys that its issuer is asked for; one that is bound to a
key counts here as if the proof of that key came with it. Claims are taken as proven. Limits are not looked at: they depend on who else asks.

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
    .option('--issuer <name>', 'with --claims: who vouches for them')
    .option('--claims <file>', 'instead of a token: a JSON object of claims')
    .requiredOption('--application <name>', 'what the caller asks for: application,')
    .requiredOption('--tenant <guid>', 'tenant,')
    .option('--scope <scope>', 'and one resource and /.default (a token)')
    .option('--assertion', 'or an assertion')
    .option('--lifetime-seconds <seconds>', 'of the assertion; what the grant says unless given')
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

interface Explained {
  readonly lines: readonly string[]
  readonly granted: boolean
}

async function explained(options: ExplainOptions): Promise<Explained> {
  const ask = askFrom(options)
  const { config, policy } = await configured(options.config)
  const proof = await callerFrom(options, config)
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

function askFrom({ scope, assertion, lifetimeSeconds, ...named }: ExplainOptions): Ask {
  const application = parseApplicationName(named.application)
  if (application === undefined) throw new CommandError(`--application must be a name: ${nameRule}`)
  const tenant = parseTenantId(named.tenant)
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

type Proof =
  { readonly ok: true; readonly caller: CallerFacts } | { readonly ok: false; readonly why: string }

function callerFrom(options: ExplainOptions, config: Config): Promise<Proof> | Proof {
  const { token, issuer, claims } = options
  if (token !== undefined && issuer === undefined && claims === undefined) {
    return proven(token, config)
  }
  if (token === undefined && issuer !== undefined && claims !== undefined) {
    return claimed(issuer, claims, config)
  }
  throw new CommandError('give either --token FILE, or --issuer NAME and --claims FILE')
}

async function proven(tokenFile: string, config: Config): Promise<Proof> {
  const text = tokenIn(tokenFile)
  // Most of what proves callers is not needed to look at claims.
  const [
    { createTokenProof },
    { unfitBinding },
    { tokenBindingFrom },
    { trustAlso },
    { CallerError },
  ] = await Promise.all([
    import('../caller-proof.ts'),
    import('../caller/presented-caller.ts'),
    import('../caller/token-binding.ts'),
    import('../base/trusted-roots.ts'),
    import('../caller/caller.ts'),
  ])
  trustAlso(config.trust.caFiles)
  const tokenProof = createTokenProof(config, {
    clock: systemClock,
    onIssuerAway: () => undefined,
  })
  try {
    const identified = await tokenProof.tokens.identify(new Secret(text))
    if (identified.ok) {
      const { caller } = identified
      const unfit = unfitBinding(tokenBindingFrom(caller.claims), boundTokensOf(config, caller))
      if (unfit === undefined) return identified
      return {
        ok: false,
        why: `${unfit.reason} by the rules of issuer ${caller.issuer} (${unfit.detail})`,
      }
    }
    const { refusal } = identified
    const issuer = 'issuer' in refusal ? ` by the rules of issuer ${refusal.issuer}` : ''
    const detail = 'detail' in refusal ? ` (${refusal.detail})` : ''
    return { ok: false, why: `${refusal.reason}${issuer}${detail}` }
  } catch (error) {
    if (!(error instanceof CallerError)) throw error
    throw new CommandError(`issuer ${error.issuer} cannot be asked for its keys: ${error.code}`)
  } finally {
    await tokenProof.close()
  }
}

function boundTokensOf({ issuers }: Config, caller: CallerFacts) {
  const issuer = issuers.find(({ name }) => name === caller.issuer)
  return issuer === undefined || issuer.kind === 'mtls' ? undefined : issuer.boundTokens
}

const claimsSchema = z.record(z.string(), z.unknown())

function claimed(issuerText: string, file: string, { issuers }: Config): Proof {
  const name = parseIssuerName(issuerText)
  const issuer = issuers.find((one) => one.name === name)
  if (issuer === undefined) {
    const names = issuers.map((one) => one.name).join(', ')
    throw new CommandError(`--issuer must be one of ${names}`)
  }
  const claims = claimsSchema.safeParse(jsonOf(claimsTextIn(file)))
  if (!claims.success) throw new CommandError(`${file} must be a JSON object of claims`)
  const broken = issuer.require.find((rule) => !claimsMatch([rule], claims.data))
  if (broken === undefined)
    return { ok: true, caller: { issuer: issuer.name, claims: claims.data } }
  const why = `issuer ${issuer.name} requires another ${printable(broken.claim, 80)} of everybody.`
  return { ok: false, why }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Says nothing of the argument: somebody may have put the token there. */
function tokenIn(file: string): string {
  try {
    return readFileSync(file === '-' ? 0 : file, 'utf8').trim()
  } catch {
    throw new CommandError('--token must be a file that holds the token, or - for standard input')
  }
}

function claimsTextIn(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    throw new CommandError(`the claims cannot be read from ${file}`)
  }
}
