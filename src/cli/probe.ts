import { inspect } from 'node:util'
import { Command } from 'commander'
import { z } from 'zod'
import { isoTimeFrom, systemClock } from '../base/clock.ts'
import { byPlace, formatProblem } from '../base/configuration-problem.ts'
import { Secret } from '../base/secret.ts'
import { stopSignal } from '../base/stop-signal.ts'
import { readTextFile } from '../base/text-file.ts'
import { type CallerEnvironment, readEnvironment, readSecrets } from '../config/environment.ts'
import { loadProbes, type Probe } from '../config/probes-file.ts'
import { createRedaction } from '../telemetry/redaction.ts'
import { type CallerCredential, findCredential } from './caller-credential.ts'
import { CommandError } from './command-error.ts'
import { replaceMetricsFile } from './metrics-file.ts'
import {
  changedSince,
  probeLine,
  probeLines,
  probeMetrics,
  type ProbeResult,
  type ProbeVerdict,
  resultOf,
  verdictOn,
} from './probe-result.ts'
import { namedService, type ServiceOptions, serviceOptions } from './request-options.ts'
import { parseInterval, repeat } from './repeat.ts'
import { answerOfService } from './service-client.ts'

interface ProbeOptions extends ServiceOptions {
  readonly metricsFile?: string
  readonly json?: true
  /** Milliseconds; absent: once. */
  readonly every?: number
}

const exitCodes: Readonly<Record<ProbeVerdict, number>> = {
  satisfied: 0,
  violated: 1,
  undecided: 2,
}

const example = `
Example:
  $ cat probes.yaml
  probes:
    orders-are-served:
      { expect: granted, application: events, tenant: fab00000-…, scope: https://orders.example/.default }
    branches-do-not-deploy:
      { expect: refused, code: not_granted, tokenFile: dev-branch.jwt, application: deploy, tenant: fab00000-…, assertion: {} }
  $ countersign probe probes.yaml --url https://countersign.contoso.example --metrics-file /var/lib/node-exporter/countersign.prom
  VIOLATED: 1 of 2 probes.
  satisfied orders-are-served: must be granted, and was granted
  violated  branches-do-not-deploy: must be refused, and was granted

A probe is a request like any other: it is in the ledger, counts against limits, and one that is granted
gets a token or an assertion, which is dropped at once and never printed. Without tokenFile it asks with
what \`countersign token\` would ask with: a token, a client certificate, or a token that is bound to a key.

Refused is what the service answers with 401 or 403. What is busy, broken or away, a limit that is
reached and the answer of a proxy prove nothing: undecided. Give the code, because a token that has
expired is refused as well: with another code than that one the probe is undecided.

It runs once, and a scheduler runs it again: a cron job, a timer, a CronJob. With --every it runs by itself,
about that often, prints what has changed, and ends with 0 on SIGTERM; files of tokens and keys are read
each time. Whoever alerts on countersign_probe{result!="satisfied"} == 1 and on
countersign_probe_run_timestamp_seconds being old is told of a service that does as it must not, and of
probes that do not run at all.

Exits, when it ran once, with
  0  all of them are satisfied
  1  something was granted that must be refused, or refused that must be granted
  2  neither, and not all could be decided: no answer, no token, a file that does not load, a wrong option
`

export function probeCommand(): Command {
  return (
    serviceOptions(new Command('probe'))
      .description('Asks a running service for what it must grant and what it must refuse.')
      .argument('<file>', 'YAML with the probes, by name')
      .option('--metrics-file <file>', "for Prometheus' textfile collector, replaced as a whole")
      .option('--json', 'the results for programs')
      .option('--every <period>', 'again and again, such as 5m; otherwise once', parseInterval)
      .addHelpText('after', example)
      // Commander's own 1 would say that a probe is violated.
      .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : exitCodes.undecided))
      .action(probe)
  )
}

async function probe(file: string, options: ProbeOptions, command: Command): Promise<void> {
  const redact = createRedaction(readSecrets())
  try {
    const probes = await soundProbes(file)
    const run = runOf(probes, options, redact)
    if (options.every === undefined) await once(run, options)
    else await againAndAgain(run, options.every, options, redact)
  } catch (error) {
    command.error(redact(`probe: ${sentenceOf(error)}`))
  }
}

const sentenceOf = (error: unknown) =>
  error instanceof CommandError ? error.message : inspect(error)

type Run = () => Promise<readonly ProbeResult[]>

async function once(run: Run, options: ProbeOptions): Promise<void> {
  const results = await run()
  const lines = options.json === true ? [JSON.stringify({ results })] : probeLines(results)
  for (const line of lines) console.log(line)
  writeMetrics(results, options)
  process.exitCode = exitCodes[verdictOn(results)]
}

/** Says what has changed, until SIGTERM or SIGINT; alerts are made of the metrics. */
async function againAndAgain(
  run: Run,
  everyMs: number,
  options: ProbeOptions,
  redact: (text: string) => string,
): Promise<void> {
  const stop = stopSignal()
  let before: readonly ProbeResult[] = []
  await repeat(
    async () => {
      const results = await run()
      for (const one of changedSince(before, results)) console.log(changeLine(one, options))
      before = results
      try {
        writeMetrics(results, options)
      } catch (error) {
        // Whoever alerts on their age is told; the next run may write them.
        console.error(redact(`probe: ${sentenceOf(error)}`))
      }
    },
    everyMs,
    stop,
  )
  // What is still asked would keep the process for as long as it is waited for.
  process.exit(0)
}

function changeLine(result: ProbeResult, { json }: ProbeOptions): string {
  const at = isoTimeFrom(systemClock.nowMs())
  return json === true ? JSON.stringify({ at, ...result }) : `${at} ${probeLine(result)}`
}

/** @throws CommandError */
function writeMetrics(results: readonly ProbeResult[], { metricsFile }: ProbeOptions): void {
  if (metricsFile === undefined) return
  replaceMetricsFile(metricsFile, probeMetrics(results, systemClock.nowSeconds()))
}

async function soundProbes(file: string): Promise<readonly Probe[]> {
  const loaded = await loadProbes(file)
  if (loaded.ok) return loaded.probes
  for (const problem of loaded.problems.toSorted(byPlace)) console.error(formatProblem(problem))
  throw new CommandError('the probes do not load: see above')
}

/** @throws CommandError when the service is not named. */
function runOf(
  probes: readonly Probe[],
  options: ProbeOptions,
  redact: (text: string) => string,
): Run {
  const environment = readEnvironment().caller
  const service = serviceFrom(options, environment)
  return () => resultsOf(probes, (one) => ask(one, service, options, environment), redact)
}

/** One after another: whoever checks a service does not want to be its load. */
async function resultsOf(
  probes: readonly Probe[],
  askFor: (probe: Probe) => Promise<ProbeResult>,
  redact: (text: string) => string,
): Promise<readonly ProbeResult[]> {
  const results: ProbeResult[] = []
  for (const probe of probes) {
    const result = await askFor(probe).catch((error: unknown): ProbeResult => {
      const why = redact(error instanceof Error ? error.message : String(error))
      const { name, expect } = probe
      return {
        probe: name,
        expect,
        result: 'undecided',
        answer: `not asked or not answered: ${why}`,
      }
    })
    results.push(result)
  }
  return results
}

type NamedService = ReturnType<typeof namedService>

function serviceFrom(options: ProbeOptions, environment: CallerEnvironment): NamedService {
  try {
    return namedService(options, environment)
  } catch (error) {
    throw new CommandError(error instanceof Error ? error.message : String(error))
  }
}

/** Told apart by the one member that only this answer has; what it holds is looked at no further. */
const tokenGiven = z.object({ access_token: z.string() }).transform(() => 'given')
const assertionGiven = z.object({ client_assertion: z.string() }).transform(() => 'given')

async function ask(
  probe: Probe,
  service: NamedService,
  options: ProbeOptions,
  environment: CallerEnvironment,
): Promise<ProbeResult> {
  const { application, tenant, want: asked, tokenFile } = probe
  const { want, ...rest } = asked
  const credential: CallerCredential =
    tokenFile === undefined
      ? await findCredential(options, service, environment)
      : { kind: 'bearer', token: await tokenIn(tokenFile) }
  const answer = await answerOfService(
    { ...service, credential },
    `/v1/${want}`,
    { post: { application, tenant, ...rest } },
    want === 'token' ? tokenGiven : assertionGiven,
  )
  return resultOf(probe, answer)
}

/** Says nothing of the path: somebody may have put the token there. */
async function tokenIn(file: string): Promise<Secret<string>> {
  const reading = await readTextFile(file)
  if (reading.ok) return new Secret(reading.text.trim())
  throw new CommandError(`its tokenFile cannot be read. ${reading.fault}`)
}
