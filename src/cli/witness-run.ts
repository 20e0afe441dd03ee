import { setTimeout as pause } from 'node:timers/promises'
import type { Logger } from 'pino'
import { isoTimeFrom, systemClock } from '../base/clock.ts'
import { stopSignal } from '../base/stop-signal.ts'
import { readEnvironment, readSecrets } from '../config/environment.ts'
import type { WitnessConfig, WitnessReconcileConfig } from '../config/witness/witness-config.ts'
import { type EntryFeed, FeedError } from '../custody/entry-feed.ts'
import { parseHead } from '../custody/head.ts'
import {
  isLookFailure,
  type Look,
  type LookFailure,
  type WitnessAlarm,
} from '../custody/witness.ts'
import { type Witnessed, WitnessStoreError } from '../custody/witness-store.ts'
import type { LogError } from '../reconcile/log-error.ts'
import type { Link } from '../ledger/chain.ts'
import { createProtectedLog } from '../telemetry/protected-log.ts'
import { CommandError } from './command-error.ts'
import { counted } from './counted.ts'
import { replaceMetricsFile } from './metrics-file.ts'
import { witnessMetrics } from './witness-metrics.ts'
import { nothingFound, type Raised, type Reconciled, standingBehind } from './witness-standing.ts'
import { type WiredWitness, witnessFrom } from './witness-wiring.ts'

/** What a look, and what was reconciled with it, came to. */
interface Outcome {
  readonly raised: readonly Raised[]
  /** Absent when it was not due, or did not come to its end. */
  readonly reconciled?: Reconciled
  readonly witnessed: Witnessed | undefined
  readonly heads: number
  /** Absent when it came to the end of the feed. */
  readonly failure?: Failure
}

type Failure = LookFailure | LogError

const exitCodes = { fits: 0, alarm: 1, failed: 2 } as const

/** Looks once, says what was found on standard output, and returns the exit code. */
export async function lookOnce(config: WitnessConfig): Promise<number> {
  const wired = await witnessFrom(config, readEnvironment(), systemClock)
  try {
    const outcome = await lookAndReconcile(wired, config, config.reconcile)
    // Before anything that may fail.
    for (const line of linesOf(outcome)) console.log(line)
    if (alarmsOf(outcome).length > 0) {
      tellMetricsIfPossible(config, outcome, (error) => {
        console.error(`witness: ${error.message}`)
      })
      return exitCodes.alarm
    }
    tellMetrics(config, outcome)
    return outcome.failure === undefined ? exitCodes.fits : exitCodes.failed
  } finally {
    await wired.close()
  }
}

/** Looks again and again until it is told to end, and returns the exit code. */
export async function keepLooking(config: WitnessConfig): Promise<number> {
  const stop = stopSignal()
  const environment = readEnvironment()
  const logger = createProtectedLog(
    { level: environment.logLevel, secrets: readSecrets() },
    process.stderr,
  )
  const wired = await witnessFrom(config, environment, systemClock)
  logger.info({ feed: wired.feed.name, pid: process.pid }, 'the witness looks')
  let reconcileAtMs = Number.NEGATIVE_INFINITY
  let standing: Reconciled = nothingFound
  let notReconciled: Failure | undefined
  try {
    while (!stop.aborted) {
      const isDue = systemClock.monotonicMs() >= reconcileAtMs
      const outcome = await lookAndReconcile(wired, config, isDue ? config.reconcile : undefined)
      const { reconciled: found } = outcome
      if (found !== undefined) standing = standingBehind(standing, found)
      if (isDue && config.reconcile !== undefined) {
        const isWhole = found?.reach === 'whole'
        notReconciled = isWhole ? undefined : outcome.failure
        const pauseMs = everyMs(config.reconcile) * (isWhole ? 1 : retryShare)
        reconcileAtMs = systemClock.monotonicMs() + pauseMs
      }
      tell(logger, { ...outcome, reconciled: standing })
      const failure = outcome.failure ?? notReconciled
      const figures = { ...outcome, reconciled: standing, ...(failure && { failure }) }
      tellMetricsIfPossible(config, figures, (error) => {
        // Whoever alerts on their age is told; the next look may write them.
        logger.error({ err: error }, 'the metrics could not be written')
      })
      await pause(config.everySeconds * 1000, undefined, { signal: stop }).catch(() => undefined)
    }
    logger.info({}, 'the witness ends')
    return exitCodes.fits
  } finally {
    await wired.close()
  }
}

/** Of the time from one to the next: it reads all of the ledger and of the logs that are there, again. */
const retryShare = 0.1

const everyMs = (reconcile: WitnessReconcileConfig | undefined) =>
  reconcile === undefined ? Number.POSITIVE_INFINITY : reconcile.everySeconds * 1000

async function lookAndReconcile(
  { witness, feed, reading }: WiredWitness,
  { headKeyFiles }: WitnessConfig,
  reconcileConfig: WitnessReconcileConfig | undefined,
): Promise<Outcome> {
  const look = await lookWith(() => witness.look())
  if (reconcileConfig === undefined || reading === undefined || headKeyFiles.length === 0) {
    return look
  }
  try {
    const untilMs = systemClock.monotonicMs() + everyMs(reconcileConfig)
    const found = await reconciled(feed, look.witnessed, reading, untilMs)
    const failure = look.failure ?? found.failure
    return { ...look, reconciled: found, ...(failure === undefined ? {} : { failure }) }
  } catch (error) {
    if (error instanceof OtherHistoryError) {
      return { ...look, reconciled: { raised: [error.raised], undecided: {}, reach: 'part' } }
    }
    if (!isLookFailure(error)) throw error
    return { ...look, failure: look.failure ?? error }
  }
}

async function lookWith(act: () => Promise<Look>): Promise<Outcome> {
  try {
    const { alarms, witnessed, heads, failure } = await act()
    const raised = alarms.map(({ alarm, ...facts }: WitnessAlarm) => ({ alarm, facts }))
    return { raised, witnessed, heads, ...(failure === undefined ? {} : { failure }) }
  } catch (error) {
    if (error instanceof WitnessStoreError && error.code === 'WITNESS_STORE_FOREIGN') {
      throw new CommandError(
        'the store is of another feed, key or ledger: name its own, and remove it only when you know why',
      )
    }
    if (!isLookFailure(error)) throw error
    return { raised: [], witnessed: undefined, heads: 0, failure: error }
  }
}

/** All of the ledger, as the feed tells it, and the logs that the witness reads itself. */
async function reconciled(
  feed: EntryFeed,
  witnessed: Witnessed | undefined,
  reading: NonNullable<WiredWitness['reading']>,
  untilMs: number,
): Promise<Reconciled> {
  const [{ reconcileSources }, { unreadableLogs }, { LogError }] = await Promise.all([
    import('../reconcile/reconcile-sources.ts'),
    import('../reconcile/reconcile.ts'),
    import('../reconcile/log-error.ts'),
  ])
  const { findings, undecided, ...logs } = await reconcileSources({
    ...reading,
    ledger: { name: feed.name, pages: () => pagesOf(feed, witnessed, untilMs) },
    nowMs: systemClock.nowMs(),
  })
  const silent = findings.filter((one) => one.kind === 'logs.silent')
  const others = findings.map(({ kind }) => kind).filter((kind) => kind !== 'logs.silent')
  const raised = [
    ...silent.map(({ kind: alarm, ...facts }) => ({ alarm, facts })),
    ...(others.length === 0
      ? []
      : [{ alarm: 'reconcile.findings' as const, facts: { kinds: countsOf(others) } }]),
  ]
  const counts = undecided.map(({ reason, count }) => [reason, count] as const)
  const away = unreadableLogs(logs)
  const [first] = away
  const failure = first && new LogError(first.code, away.map(({ why }) => why).join('; '))
  return {
    raised,
    undecided: Object.fromEntries(counts),
    reach: failure === undefined ? 'whole' : 'part',
    ...(failure && { failure }),
  }
}

/** The ledger that is to be reconciled is not the one that was seen. */
class OtherHistoryError extends Error {
  override readonly name = 'OtherHistoryError'
  readonly raised: Raised

  constructor(how: 'rewritten' | 'rolled-back', sequence: number) {
    super(how)
    this.raised = { alarm: 'feed.contradicts', facts: { how, sequence, reconciled: true } }
  }
}

/**
 * All of the ledger, held to what was seen: who tells it could tell another one here.
 *
 * @throws FeedError | OtherHistoryError
 */
async function* pagesOf(feed: EntryFeed, witnessed: Witnessed | undefined, untilMs: number) {
  const expected = [witnessed?.from, witnessed?.seen].filter((link) => link !== undefined)
  let ahead: readonly Link[] = expected.filter(({ sequence }) => sequence > 0)
  let behind = 0
  for (;;) {
    const rows = await feed.rowsBehind(behind)
    const [first] = rows
    const [next] = ahead
    if (first === undefined) {
      if (next === undefined) return
      throw new OtherHistoryError('rolled-back', next.sequence)
    }
    // Pruned meanwhile: another reading begins behind the cut.
    if (behind > 0 && first.isCut === true) throw new FeedError('FEED_ENDS_BEFORE')
    for (const row of rows) ahead = aheadOf(row, ahead)
    yield rows
    const last = rows.at(-1)?.sequence ?? behind
    if (!(last > behind)) throw new FeedError('FEED_MALFORMED')
    if (systemClock.monotonicMs() > untilMs) throw new FeedError('FEED_TOO_SLOW')
    behind = last
  }
}

/** What is still to come of it behind that row. */
function aheadOf(row: Link, ahead: readonly Link[]): readonly Link[] {
  for (const { sequence, hash } of ahead) {
    const isThere = row.sequence === sequence && Buffer.compare(row.hash, hash) === 0
    if (row.sequence >= sequence && !isThere) throw new OtherHistoryError('rewritten', sequence)
  }
  return ahead.filter(({ sequence }) => sequence > row.sequence)
}

const countsOf = (kinds: readonly string[]) =>
  Object.fromEntries(
    [...Map.groupBy(kinds, (kind) => kind)].map(([kind, all]) => [kind, all.length]),
  )

const alarmsOf = ({ raised, reconciled: { raised: found } = nothingFound }: Outcome) => [
  ...raised,
  ...found,
]

function tell(logger: Logger, outcome: Outcome): void {
  const { witnessed, heads, failure } = outcome
  for (const { alarm, facts } of alarmsOf(outcome))
    logger.error({ alarm, ...facts }, 'an alarm is raised')
  if (failure !== undefined) {
    logger.warn({ code: failure.code, err: failure }, 'the witness could not look to the end')
  }
  if (heads === 0) return
  logger.info(
    { heads, seen: witnessed?.seen.sequence, witnessed: headOf(witnessed)?.sequence },
    'heads were witnessed',
  )
}

/** @throws CommandError */
function tellMetrics({ metricsFile }: WitnessConfig, outcome: Outcome): void {
  if (metricsFile === undefined) return
  const { reconciled: { undecided } = nothingFound, witnessed, failure } = outcome
  const figures = {
    alarms: alarmsOf(outcome).map(({ alarm }) => alarm),
    undecided: Object.values(undecided).reduce((sum, count) => sum + count, 0),
    witnessed,
    looked: failure === undefined,
    atMs: systemClock.nowMs(),
  }
  replaceMetricsFile(metricsFile, witnessMetrics(figures))
}

function tellMetricsIfPossible(
  config: WitnessConfig,
  outcome: Outcome,
  refused: (error: CommandError) => void,
): void {
  try {
    tellMetrics(config, outcome)
  } catch (error) {
    if (!(error instanceof CommandError)) throw error
    refused(error)
  }
}

function linesOf(outcome: Outcome): readonly string[] {
  const { reconciled: { undecided } = nothingFound, witnessed, heads, failure } = outcome
  return [
    ...alarmsOf(outcome).map(({ alarm, facts }) => `ALARM: ${alarm} ${JSON.stringify(facts)}`),
    ...(Object.keys(undecided).length === 0 ? [] : [`NOT DECIDED: ${JSON.stringify(undecided)}`]),
    ...(failure === undefined ? [] : [`NOT TO THE END: ${failureText(failure)}`]),
    ...(witnessed === undefined ? ['Nothing was seen so far.'] : [witnessedText(witnessed, heads)]),
  ]
}

/** A path of the log is named where there is one: it is in the configuration. */
const failureText = ({ code, message }: Failure) =>
  code === message ? code : `${code}: ${message}`

function witnessedText(witnessed: Witnessed, heads: number): string {
  const head = headOf(witnessed)
  const newest =
    head === undefined
      ? 'none was witnessed'
      : `the newest is for entry ${head.sequence} of ${isoTimeFrom(head.atMs)}`
  return `WITNESSED: up to entry ${witnessed.seen.sequence} of the ledger ${witnessed.ledger}, ${counted(heads, 'head')} more; ${newest}.`
}

const headOf = (witnessed: Witnessed | undefined) =>
  witnessed?.head === undefined ? undefined : parseHead(witnessed.head)?.statement
