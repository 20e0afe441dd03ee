import { dirname, join, resolve } from 'node:path'
import { inspect } from 'node:util'
import { isoTimeFrom, systemClock } from '../base/clock.ts'
import { printable } from '../base/printable.ts'
import { Secret } from '../base/secret.ts'
import { stopSignal } from '../base/stop-signal.ts'
import { readTextFile } from '../base/text-file.ts'
import type { WebhookConfig } from '../config/config.ts'
import { readEnvironment, readSecrets } from '../config/environment.ts'
import { LedgerDatabaseError } from '../ledger/ledger-database-error.ts'
import { LedgerFileError, sqliteCode } from '../ledger/ledger-file.ts'
import { ledgerIdOf } from '../ledger/ledger-id.ts'
import { refuseMissing } from '../reconcile/log-file.ts'
import { afterLostLedger } from '../reconcile/rounds/after-lost-ledger.ts'
import { afterRound } from '../reconcile/rounds/after-round.ts'
import { findingBody } from '../reconcile/rounds/finding-body.ts'
import type { FoundAt } from '../reconcile/rounds/finding-body.ts'
import type { FindingSink } from '../reconcile/rounds/finding-sink.ts'
import { FindingSinkError } from '../reconcile/rounds/finding-sink.ts'
import { isOpen } from '../reconcile/rounds/known-finding.ts'
import { roundMetrics } from '../reconcile/rounds/round-metrics.ts'
import { RoundStateError, roundStateFile } from '../reconcile/rounds/round-state-file.ts'
import type { FindingEvent, RoundState } from '../reconcile/rounds/round-state.ts'
import { runRound } from '../reconcile/rounds/round.ts'
import { createTelling } from '../reconcile/rounds/telling.ts'
import { createFindingRows } from '../reconciling.ts'
import { createRedaction } from '../telemetry/redaction.ts'
import { CommandError } from './command-error.ts'
import { counted } from './counted.ts'
import { replaceMetricsFile } from './metrics-file.ts'
import { readingProgress } from './reading-progress.ts'
import { isExpectedOfReading, requestNamedBy } from './reconcile-request.ts'
import type { NamedRequest, ReconcileRequestOptions } from './reconcile-request.ts'
import { repeat } from './repeat.ts'

export interface WatchOptions extends ReconcileRequestOptions {
  readonly every: number
  readonly state?: string
  readonly metricsFile?: string
  readonly output: 'text' | 'json'
}

/**
 * Reconciles again and again until SIGTERM or SIGINT, and tells what is new. A log or a ledger that cannot be read is
 * said, and looked at again; a log that is not there at the very first round was never there.
 *
 * @throws CommandError | RoundStateError, besides what naming a ledger may come to.
 */
export async function keepWatch(options: WatchOptions): Promise<void> {
  const redact = createRedaction(readSecrets())
  const complain = (error: unknown) => {
    const isExpected = isExpectedOfWatch(error)
    console.error(redact(`reconcile: ${isExpected ? error.message : inspect(error)}`))
  }
  const named = await requestNamedBy(options)
  const place = stateFileFor(options, named)
  const file = roundStateFile(place)
  let state = await file.load()
  if (state.lastRound === null) await refuseMissing(named.logPaths)
  const ledgerAtStart = await ledgerIdOf(named.source).catch(() => undefined)
  refuseOther(state, ledgerAtStart, place)
  const foundAt = (): FoundAt => ({
    ...(named.config && { deployment: named.config.publicUrl }),
    ledger: state.ledger ?? '',
  })
  const sinks = await sinksFor(options, named, foundAt)
  const telling = createTelling({
    sinks,
    save: (next) => file.save(next),
    clock: systemClock,
    random: Math.random,
    failed: (_, error, retryInMs) => {
      complain(new CommandError(`${error.message}; again in ${Math.ceil(retryInMs / 1000)} s`))
    },
  })
  const progress = readingProgress(process.stderr)
  let said = ''
  let failed = 0

  const tell = sinks.map(({ name }) => name)
  const keep = async (next: RoundState) => {
    // Durable before anybody is told: whoever dies in between tells it again, under the same id.
    await file.save(next)
    state = next
    state = await telling.tell(state)
    const standing = standingText(state)
    if (standing !== said) console.error(`${isoTimeFrom(systemClock.nowMs())} ${standing}`)
    said = standing
  }
  const round = async () => {
    const startedMs = systemClock.monotonicMs()
    const ledger = (await ledgerIdOf(named.source)) ?? state.ledger
    const outcome = await runRound(state, {
      ...named.request,
      ledger: named.source,
      nowMs: systemClock.nowMs(),
      progress: progress.show,
    }).finally(progress.clear)
    const tookMs = Math.round(systemClock.monotonicMs() - startedMs)
    await keep(afterRound(withoutStrangers(state, tell), outcome, { ledger, tookMs, tell }))
  }
  const withoutLedger = async ({ message }: Error) => {
    const lost = { name: named.source.name, why: redact(message), nowMs: systemClock.nowMs() }
    await keep(afterLostLedger(withoutStrangers(state, tell), lost, tell))
  }
  await repeat(
    async () => {
      let succeeded = true
      try {
        await round()
      } catch (error) {
        if (error instanceof RoundStateError || !isExpectedOfRound(error)) throw error
        succeeded = false
        failed += 1
        complain(error)
        if (isOfLedger(error)) await withoutLedger(error)
      }
      if (options.metricsFile === undefined) return
      try {
        const endedAtSeconds = systemClock.nowMs() / 1000
        replaceMetricsFile(
          options.metricsFile,
          roundMetrics(state, { succeeded, failed, endedAtSeconds }),
        )
      } catch (error) {
        // Whoever alerts on their age is told.
        complain(error)
      }
    },
    options.every,
    stopSignal(),
  )
  // What is still read would keep the process for as long as it takes; nothing of it is lost.
  process.exit(0)
}

/** What keeping watch may come to: the message is one for the operator. */
const isExpectedOfWatch = (error: unknown): error is Error =>
  isExpectedOfReading(error) || error instanceof RoundStateError

/** What the next round may come to the end in spite of. */
const isExpectedOfRound = (error: unknown): error is Error =>
  isExpectedOfReading(error) || isOfLedger(error)

/** That it cannot be read now. */
const isOfLedger = (error: unknown): boolean =>
  error instanceof LedgerFileError ||
  error instanceof LedgerDatabaseError ||
  sqliteCode(error) !== undefined

/** Beside the ledger's file; otherwise beside the configuration, or in the working directory. */
function stateFileFor({ state, ledger, config: file }: WatchOptions, named: NamedRequest): string {
  if (state !== undefined) return state
  const { config } = named
  const configured = ledger === undefined ? config?.ledger : undefined
  if (configured?.kind === 'sqlite') return `${configured.file}-reconciled`
  if (ledger !== undefined && ledger === named.source.name) return `${ledger}-reconciled`
  return join(file === undefined ? '.' : dirname(resolve(file)), 'countersign-reconciled')
}

function refuseOther(state: RoundState, ledger: string | undefined, file: string): void {
  if (state.ledger === null || ledger === undefined || ledger === state.ledger) return
  throw new RoundStateError(
    'STATE_OF_ANOTHER_LEDGER',
    `${file} is of another ledger than this one: name another file with --state; if nobody has replaced the ledger, it was written anew from its first entry`,
  )
}

/** Nobody waits for those that are told no longer. */
const withoutStrangers = (state: RoundState, tell: readonly string[]): RoundState => ({
  ...state,
  events: state.events.map((event) => ({
    ...event,
    pending: event.pending.filter((name) => tell.includes(name)),
  })),
})

async function sinksFor(
  { output }: WatchOptions,
  { config }: NamedRequest,
  foundAt: () => FoundAt,
): Promise<readonly FindingSink[]> {
  const { webhook, logAnalytics } = config?.reconcile ?? {}
  const sinks: FindingSink[] = [standardOutput(output, foundAt)]
  if (webhook !== undefined) {
    const { createWebhook } = await import('../reconcile/rounds/webhook.ts')
    const { url } = webhook
    sinks.push(
      await createWebhook({ url, secrets: () => secretsOf(webhook), foundAt, clock: systemClock }),
    )
  }
  if (config !== undefined && logAnalytics !== undefined) {
    const clientId = readEnvironment().identityClientId
    sinks.push(await createFindingRows(logAnalytics, config, clientId, foundAt))
  }
  return sinks
}

function standardOutput(output: WatchOptions['output'], foundAt: () => FoundAt): FindingSink {
  return {
    name: 'output',
    tell: (events) => {
      for (const event of events) {
        console.log(
          output === 'json' ? JSON.stringify(findingBody(event, foundAt())) : textOf(event),
        )
      }
      return Promise.resolve(events.length)
    },
  }
}

function textOf({ event, atMs, finding }: FindingEvent): string {
  const word = event === 'finding.new' ? 'found' : 'resolved'
  const width = Math.max(0, ...finding.facts.map(([name]) => name.length))
  return [
    `${isoTimeFrom(atMs)} ${word} ${finding.kind} ${finding.id}: ${finding.summary}`,
    ...finding.facts.map(([name, value]) => `  ${name.padEnd(width)}  ${value}`),
  ].join('\n')
}

/** One a line, so that a new one can be tried beside the old one. */
async function secretsOf({ secretFile }: WebhookConfig): Promise<readonly Secret<string>[]> {
  if (secretFile === undefined) {
    const { webhookSecret } = readEnvironment()
    return webhookSecret === undefined ? [] : [webhookSecret]
  }
  const reading = await readTextFile(secretFile)
  if (!reading.ok) {
    throw new FindingSinkError(`the file of the webhook's secret cannot be read. ${reading.fault}`)
  }
  const secrets = reading.text
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== '')
  if (secrets.length === 0) throw new FindingSinkError("the file of the webhook's secret is empty")
  return secrets.map((secret) => new Secret(secret))
}

/** Of files; the metrics have how many places there are. */
const placesShown = 3

/** What stands now, in one line, without what changes at each look. */
function standingText({
  findings,
  leftUndecided,
  unread,
  lastRound,
  unreadable,
}: RoundState): string {
  const open = findings.filter(isOpen).length
  const waiting = (lastRound?.undecided ?? []).map(({ reason }) => reason)
  const heldBack = lastRound?.heldBack ?? 0
  const parts = [
    counted(open, 'finding'),
    ...(heldBack === 0
      ? []
      : [`${counted(heldBack, 'finding')} more than there is room for, until what waits is taken`]),
    ...(waiting.length === 0 ? [] : [`undecided so far: ${[...new Set(waiting)].join(', ')}`]),
    ...unread
      .slice(0, placesShown)
      .map(({ file, line, why }) => `not understood: ${printable(`${file}:${line}: ${why}`, 300)}`),
    ...unreadable.map(({ why }) => why),
    ...leftUndecided.map(
      ({ reason, fromMs, toMs }) =>
        `never decided: ${reason} (${isoTimeFrom(fromMs)} to ${isoTimeFrom(toMs)})`,
    ),
  ]
  return `watching: ${parts.join('; ')}`
}
