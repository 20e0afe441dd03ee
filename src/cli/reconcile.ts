import { writeFile } from 'node:fs/promises'
import { inspect } from 'node:util'
import { Command, InvalidArgumentError, Option } from 'commander'
import { parseIsoTime, systemClock } from '../base/clock.ts'
import type { ChainEvidence } from '../chain-view.ts'
import type { Evidence } from '../custody/ledger-verdict.ts'
import type { LedgerSource } from '../ledger/ledger-source.ts'
import { isNetwork } from '../reconcile/expectations.ts'
import type { AgreedUse } from '../reconcile/expectations.ts'
import { parseKeyUrl } from '../reconcile/key-name.ts'
import type { KeyName } from '../reconcile/key-name.ts'
import { refuseMissing } from '../reconcile/log-file.ts'
import { reconcileSources } from '../reconcile/reconcile-sources.ts'
import { RoundStateError } from '../reconcile/rounds/round-state-file.ts'
import type { Report, Verdict } from '../reconcile/reconcile.ts'
import { jsonReport, textReport } from '../reconcile/report.ts'
import { withDamage } from '../reconcile/with-damage.ts'
import { CommandError } from './command-error.ts'
import { type EvidenceOptions, evidenceOptions, readEvidence } from './evidence-files.ts'
import { ledgerOptions, passwordNote, prunedOption } from './ledger-options.ts'
import { readingProgress } from './reading-progress.ts'
import { isExpectedOfReading, requestNamedBy } from './reconcile-request.ts'
import type { ReconcileRequestOptions } from './reconcile-request.ts'
import { parseInterval } from './repeat.ts'
import { keepYoungHeapSmall } from './small-young-heap.ts'

interface ReconcileOptions extends ReconcileRequestOptions, EvidenceOptions {
  readonly watch?: true
  readonly every: number
  readonly state?: string
  readonly metricsFile?: string
  readonly now?: number
  readonly output: keyof typeof reports
  readonly json?: true
  readonly html?: string
}

const reports = { text: textReport, json: jsonReport } as const

const exitCodes: Readonly<Record<Verdict, number>> = {
  'accounted-for': 0,
  findings: 1,
  undecided: 2,
}

const example = `
Example, with the container that the vault's diagnostic setting writes to, as a local copy:
  $ azcopy copy 'https://contosologs.blob.core.windows.net/insights-logs-auditevent' vault-log --recursive
  $ countersign reconcile --vault-log vault-log --ledger /var/lib/countersign/countersign.db
  ACCOUNTED FOR: the ledger knows every signature in the vault's log (1204).

With the sign-in logs of the tenants, and the audits of the tenant where the applications are registered:
  $ countersign reconcile --config countersign.yaml --vault-log vault-log --signin-log sign-ins --audit-log audits

The ledger is only read, also while the service runs. What is younger than the grace period, or
outside of what the log covers, is counted as undecided and never guessed.

With reconcile.sources in the configuration nothing but that needs to be named:
  $ countersign reconcile --config countersign.yaml --watch --metrics-file /var/lib/node-exporter/reconcile.prom

With --watch each finding is told once, on standard output, to reconcile.webhook and to reconcile.logAnalytics of the
configuration, and once more when a late record resolves it. What is decided for good is not read again.

Exits with
  0  every signature is accounted for; or it kept watch, and was told to stop
  1  there are findings, whatever is undecided besides
  2  no findings, and not everything could be decided: what is too young, a log that does not reach so
     far, cannot be read, or has places that are not understood; or the ledger or a log is not there,
     or an option is wrong
`

export function reconcileCommand(): Command {
  const command = new Command('reconcile')
    .description(
      "Joins the ledger to the vault's audit log, and names every signature that only one of them knows.",
    )
    .option(
      '--vault-log <path...>',
      'files of records, as blobs, bodies of Event Hubs or exports of Log Analytics, gzip too; or folders with PT1H.json at any depth',
    )
    .option('--signin-log <path...>', 'likewise, sign-ins of service principals in Entra')
    .option('--audit-log <path...>', "likewise, Entra's directory audits")
  return (
    evidenceOptions(
      prunedOption(
        ledgerOptions(
          command,
          'names the ledger, and keys and applications to watch besides those in it',
        ),
      ),
    )
      .option(
        '--key <url>',
        'watch this key too, whatever version: https://VAULT/keys/NAME; may be repeated',
        collectKey,
      )
      .option(
        '--application <id>',
        'watch this application too, by its client id; may be repeated',
        collectId,
      )
      .option(
        '--principal <id>',
        'object id of an identity of the service: signatures by others are foreign; may be repeated',
        collectId,
      )
      .option(
        '--address <network>',
        'address or network that the service signs from, such as 203.0.113.0/24; may be repeated',
        collectNetwork,
      )
      .option(
        '--agreed <id[=key]>',
        'object id of somebody else who may sign with the keys, or one of them; may be repeated',
        collectAgreed,
      )
      .option(
        '--grace-minutes <n>',
        'how late records may arrive; otherwise what --config says, or 30',
        parseMinutes,
      )
      .option('--now <time>', 'decide as of this time (ISO 8601 with a zone)', parseTime)
      .addOption(
        new Option('--output <form>', 'for people or for programs')
          .choices(Object.keys(reports))
          .default('text'),
      )
      .option('--json', 'the same as --output json')
      .option('--html <file>', 'write the report as one page for a browser, too')
      .option('--watch', 'again and again, and say what is new; until SIGTERM')
      .option('--every <period>', 'how often to look with --watch', parseInterval, 60_000)
      .option(
        '--state <file>',
        'where --watch remembers how far it came and what it has told; otherwise beside the ledger',
      )
      .option('--metrics-file <file>', "with --watch, for Prometheus' textfile collector")
      .addHelpText('after', example + passwordNote)
      // Commander's own 1 would say that there are findings.
      .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : exitCodes.undecided))
      .action(runReconcile)
  )
}

async function runReconcile(options: ReconcileOptions, command: Command): Promise<void> {
  keepYoungHeapSmall()
  try {
    if (options.watch === undefined) await once(options)
    else await watchWith(options)
  } catch (error) {
    // Where nothing was decided Node's own 1 would say that there are findings.
    const isExpected = isExpectedOfReading(error) || error instanceof RoundStateError
    command.error(`reconcile: ${isExpected ? error.message : inspect(error)}`)
  }
}

async function once(options: ReconcileOptions): Promise<void> {
  const given = await readEvidence(options)
  const named = await requestNamedBy(options)
  await refuseMissing(named.logPaths)
  const { request, source: read } = named
  const nowMs = options.now ?? systemClock.nowMs()
  const progress = readingProgress(process.stderr)
  const source = progress.ofLedger(read)
  const sources = progress.ofLogs(request.sources)
  const found = await reconcileSources({ ...request, ledger: source, sources, nowMs }).finally(
    async () => {
      progress.clear()
      await named.close()
    },
  )
  const evidence = await evidenceFor(options, source, given).finally(progress.clear)
  const report = withUnchecked(withDamage(found, evidence.fault), evidence, options)
  const form = formOf(options)
  process.stdout.write(reports[form](report))
  process.exitCode = exitCodes[report.verdict]
  if (options.html === undefined) return
  await writePage(options.html, report, source, evidence)
    .finally(progress.clear)
    .catch((error: unknown) => {
      // What was found is told already, and stays found.
      if (!(error instanceof CommandError) || report.verdict !== 'findings') throw error
      console.error(`reconcile: ${error.message}`)
    })
}

const formOf = ({ json, output }: ReconcileOptions) => (json === true ? 'json' : output)

const alienToWatch = [
  'now',
  'html',
  'anchor',
  'witness',
  'witnessKey',
  'headKey',
  'pruned',
] as const

/** @throws CommandError for options that mean nothing there. */
async function watchWith(options: ReconcileOptions): Promise<void> {
  const alien = alienToWatch.find((name) => options[name] !== undefined)
  if (alien !== undefined) {
    const name = alien.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
    throw new CommandError(`--${name} means nothing with --watch`)
  }
  const { keepWatch } = await import('./reconcile-watch.ts')
  await keepWatch({ ...options, output: formOf(options) })
}

/**
 * Heads, anchors and proofs, where somebody asks what they say.
 *
 * @throws CommandError when an anchor cannot be read, besides what reading the ledger once more may come to.
 */
async function evidenceFor(
  options: ReconcileOptions,
  source: LedgerSource,
  given: Evidence,
): Promise<ChainEvidence> {
  const { html, anchor, witness, headKey } = options
  if ([html, anchor, witness, headKey].every((asked) => asked === undefined)) return {}
  const { readChainView } = await import('./chain-view.ts')
  return readChainView(source, given)
}

/** What somebody asked to have checked, and could not be, leaves it undecided. */
function withUnchecked(
  report: Report,
  { undecided = [] }: ChainEvidence,
  { anchor, witness, headKey }: ReconcileOptions,
): Report {
  const isAsked = [anchor, witness, headKey].some((given) => given !== undefined)
  if (!isAsked || undecided.length === 0) return report
  const reason = { reason: 'evidence-not-checked', count: undecided.length } as const
  return {
    ...report,
    verdict: report.verdict === 'findings' ? 'findings' : 'undecided',
    undecided: [...report.undecided, reason],
  }
}

/** @throws CommandError when the file cannot be written, besides what reading the ledger may come to. */
async function writePage(
  file: string,
  report: Report,
  source: LedgerSource,
  evidence: ChainEvidence,
): Promise<void> {
  // Most runs want no page.
  const [{ readLedgerOverview }, { reportViewFrom }, { reportPage }] = await Promise.all([
    import('../reconcile/ledger-overview.ts'),
    import('../reconcile/report-view-from.ts'),
    import('../reconcile/report-page.ts'),
  ])
  const overview = await readLedgerOverview(source, report.nowMs)
  try {
    await writeFile(file, reportPage(reportViewFrom(report, overview, evidence)))
  } catch (error) {
    if (!(error instanceof Error && 'code' in error)) throw error
    throw new CommandError(`${file} cannot be written: ${error.message}`)
  }
}

const guidForm = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

function collectId(text: string, before: readonly string[] = []): readonly string[] {
  if (!guidForm.test(text)) throw new InvalidArgumentError('It is not a GUID.')
  return [...before, text.toLowerCase()]
}

function collectNetwork(text: string, before: readonly string[] = []): readonly string[] {
  if (!isNetwork(text)) {
    throw new InvalidArgumentError(
      'It is neither an address nor a network, such as 203.0.113.0/24.',
    )
  }
  return [...before, text]
}

function collectAgreed(text: string, before: readonly AgreedUse[] = []): readonly AgreedUse[] {
  const [principal = '', url] = text.split('=', 2)
  const key = parseKeyUrl(url ?? '')
  if (!guidForm.test(principal) || (url !== undefined && key === undefined)) {
    throw new InvalidArgumentError('It is not an object id, or one with =https://VAULT/keys/NAME.')
  }
  return [...before, { principal, ...(key === undefined ? {} : { key }) }]
}

function collectKey(text: string, before: readonly KeyName[] = []): readonly KeyName[] {
  const key = parseKeyUrl(text)
  if (key === undefined) throw new InvalidArgumentError('It is not https://VAULT/keys/NAME.')
  return [...before, key]
}

/** A week: a log that is later than that is not late. */
const graceMinutesMax = 7 * 24 * 60

function parseMinutes(text: string): number {
  const minutes = Number(text)
  if (/^\d+$/.test(text) && minutes <= graceMinutesMax) return minutes
  throw new InvalidArgumentError(`It is not a whole number from 0 to ${graceMinutesMax}.`)
}

function parseTime(text: string): number {
  const timeMs = parseIsoTime(text)
  if (timeMs === undefined)
    throw new InvalidArgumentError('It is not such as 2026-11-22T04:56:16Z.')
  return timeMs
}
