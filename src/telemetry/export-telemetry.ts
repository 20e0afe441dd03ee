import type { Logger } from 'pino'
import type { Clock } from '../base/clock.ts'
import { createDependencyWatch, type DependencyState } from '../base/dependency-watch.ts'
import type { ExportEvents } from '../custody/entry-export.ts'
import type { Metrics } from './metrics.ts'

export interface ExportTelemetry extends ExportEvents {
  /** Whether entries could be sent when that was last tried here. */
  readonly state: DependencyState
  /**
   * How long the oldest entry that was not sent has waited by now, also between tries. Where none could be read,
   * one may have waited since it was last known that none does. 0: none does, or another replica sends.
   */
  behindSeconds(): number
}

/** Between lines of the log about what goes wrong again and again. */
const quietMs = 60_000

/** Log lines, counters and the state of the export: nothing else would say that nothing arrives. */
export function createExportTelemetry(deps: {
  readonly logger: Logger
  readonly metrics: Metrics
  readonly clock: Clock
}): ExportTelemetry {
  const { logger, metrics, clock } = deps
  const watch = createDependencyWatch(clock)
  let next = 0
  // By the monotonic clock: one that was set meanwhile makes nothing older.
  let waitingSinceMs: number | undefined
  let noneWaitedAtMs = clock.monotonicMs()
  const noneWaits = () => {
    waitingSinceMs = undefined
    noneWaitedAtMs = clock.monotonicMs()
  }
  let said: { readonly code: string; readonly atMs: number } | undefined
  const works = () => {
    if (watch.state.state === 'failing') logger.info('entries are exported again')
    watch.saw('ok')
    said = undefined
  }
  return {
    get state() {
      return watch.state
    },
    behindSeconds: () =>
      waitingSinceMs === undefined ? 0 : (clock.monotonicMs() - waitingSinceMs) / 1000,
    waiting: ({ sequence, sinceMs }) => {
      next = sequence
      waitingSinceMs = clock.monotonicMs() - Math.max(0, clock.nowMs() - sinceMs)
    },
    sent: (rows, { sequence }) => {
      metrics.exportedEntries.inc(rows)
      metrics.exportSequence.set(sequence)
      works()
    },
    caughtUp: () => {
      noneWaits()
      // With nothing to send nobody is asked, so what failed may fail still.
      if (watch.state.state === 'untried') watch.saw('ok')
    },
    elsewhere: noneWaits,
    failed: (error, retryInMs) => {
      const { code } = error
      metrics.exportFailures.labels(code).inc()
      watch.saw('failing')
      waitingSinceMs ??= noneWaitedAtMs
      const isNew = said?.code !== code || clock.monotonicMs() - said.atMs >= quietMs
      if (!isNew) return
      said = { code, atMs: clock.monotonicMs() }
      logger.error(
        { code, err: error, retryInMs, sequence: next },
        'entries cannot be exported; they are kept',
      )
    },
    beganAnew: ({ sequence }) => {
      logger.error(
        { sequence },
        'the ledger is not the one that was exported so far: all of it is exported',
      )
    },
  }
}
