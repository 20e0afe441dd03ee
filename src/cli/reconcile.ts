import { writeFile } from 'node:fs/promises'
import { inspect } from 'node:util'
import { Command, InvalidArgumentError, Option } from 'commander'
import { parseIsoTime, systemClock } from '../base/clock.ts'
import type { Config } from '../config/config.ts'
import type { LedgerSource } from '../ledger/ledger-source.ts'
import { isNetwork } from '../reconcile/expectations.ts'
import type { AgreedUse } from '../reconcile/expectations.ts'
import { parseKeyUrl } from '../reconcile/key-name.ts'
import type { KeyName } from '../reconcile/key-name.ts'
import { LogFileError } from '../reconcile/log-file.ts'
import { reconcile } from '../reconcile/reconcile.ts'
import type { Report, Verdict } from '../reconcile/reconcile.ts'
import { jsonReport, textReport } from '../reconcile/report.ts'
import type { ChainEvidence } from './chain-view.ts'
import { CommandError } from './command-error.ts'
import { isExpectedOfLedger, ledgerNamedBy, ledgerOptions, passwordNote } from './ledger-options.ts'
import type { LedgerOptions } from './ledger-options.ts'

interface ReconcileOptions extends LedgerOptions {
  readonly vaultLog: readonly string[]
  readonly signinLog?: readonly string[]
  readonly auditLog?: readonly string[]
  readonly key?: readonly KeyName[]
  readonly application?: readonly string[]
  readonly principal?: readonly string[]
  readonly address?: readonly string[]
  readonly agreed?: readonly AgreedUse[]
  readonly graceMinutes: number
  readonly now?: number
  readonly output: keyof typeof reports
  readonly json?: true
  readonly html?: string
  readonly anchor?: readonly string[]
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

Exits with
  0  every signature is accounted for
  1  there are findings, whatever is undecided besides
  2  no findings, and not everything could be decided: too young, a log that does not reach so far or
     could not be read in places, a ledger or log that is not there, a wrong option
`

export function reconcileCommand(): Command {
  const command = new Command('reconcile')
    .description(
      "Joins the ledger to the vault's audit log, and names every signature that only one of them knows.",
    )
    .requiredOption(
      '--vault-log <path...>',
      'files of records, as blobs, bodies of Event Hubs or exports of Log Analytics, gzip too; or folders with PT1H.json at any depth',
    )
    .option('--signin-log <path...>', 'likewise, sign-ins of service principals in Entra')
    .option('--audit-log <path...>', "likewise, Entra's directory audits")
  return (
    ledgerOptions(
      command,
      'names the ledger, and keys and applications to watch besides those in it',
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
      .option('--grace-minutes <n>', 'how late records may arrive', parseMinutes, 30)
      .option('--now <time>', 'decide as of this time (ISO 8601 with a zone)', parseTime)
      .addOption(
        new Option('--output <form>', 'for people or for programs')
          .choices(Object.keys(reports))
          .default('text'),
      )
      .option('--json', 'the same as --output json')
      .option('--html <file>', 'write the report as one page for a browser, too')
      .option('--anchor <file...>', 'heads that were kept elsewhere: the ledger must fit them')
      .addHelpText('after', example + passwordNote)
      // Commander's own 1 would say that there are findings.
      .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : exitCodes.undecided))
      .action(runReconcile)
  )
}

async function runReconcile(options: ReconcileOptions, command: Command): Promise<void> {
  try {
    const { source, config } = await ledgerNamedBy(options)
    const found = await reconcile({
      ledger: source,
      vaultLogPaths: options.vaultLog,
      ...(options.signinLog && { signInLogPaths: options.signinLog }),
      ...(options.auditLog && { auditLogPaths: options.auditLog }),
      keys: [...(options.key ?? []), ...keysIn(config?.certificates ?? [])],
      applicationIds: [...(options.application ?? []), ...clientIdsIn(config?.applications ?? [])],
      expect: {
        principals: options.principal ?? [],
        addresses: options.address ?? [],
        also: options.agreed ?? [],
      },
      nowMs: options.now ?? systemClock.nowMs(),
      graceMs: options.graceMinutes * 60_000,
    })
    const evidence = await evidenceFor(options, source)
    const report = withDamage(found, evidence.fault)
    const form = options.json === true ? 'json' : options.output
    process.stdout.write(reports[form](report))
    process.exitCode = exitCodes[report.verdict]
    if (options.html === undefined) return
    await writePage(options.html, report, source, evidence).catch((error: unknown) => {
      // What was found is told already, and stays found.
      if (!(error instanceof CommandError) || report.verdict !== 'findings') throw error
      console.error(`reconcile: ${error.message}`)
    })
  } catch (error) {
    // Where nothing was decided Node's own 1 would say that there are findings.
    const isExpected = isExpectedOfLedger(error) || error instanceof LogFileError
    command.error(`reconcile: ${isExpected ? error.message : inspect(error)}`)
  }
}

/**
 * Heads, anchors and proofs, where somebody asks what they say.
 *
 * @throws CommandError when an anchor cannot be read, besides what reading the ledger once more may come to.
 */
async function evidenceFor(
  { html, anchor }: ReconcileOptions,
  source: LedgerSource,
): Promise<ChainEvidence> {
  if (html === undefined && anchor === undefined) return {}
  const { readChainView } = await import('./chain-view.ts')
  return readChainView(source, anchor ?? [])
}

/** Damage that heads, anchors or proofs show is a finding as much as what the chain shows by itself. */
function withDamage(report: Report, reason: string | undefined): Report {
  const isFound = report.findings.some(({ kind }) => kind === 'ledger.broken')
  if (reason === undefined || isFound) return report
  const finding = { kind: 'ledger.broken', fault: { fault: 'evidence', reason } } as const
  return { ...report, verdict: 'findings', findings: [finding, ...report.findings] }
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

const keysIn = (certificates: Config['certificates']): readonly KeyName[] =>
  certificates.flatMap(
    ({ vault, nameInVault }) => parseKeyUrl(`${vault}/keys/${nameInVault}`) ?? [],
  )

const clientIdsIn = (applications: Config['applications']): readonly string[] =>
  applications.map(({ clientId }) => clientId)

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
