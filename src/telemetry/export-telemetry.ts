import type { Logger } from 'pino'
import type { Clock } from '../base/clock.ts'
import { createDependencyWatch, type DependencyState } from '../base/dependency-watch.ts'
import type { ExportEvents } from '../custody/entry-export.ts'
import type { Metrics } from './metrics.ts'

export interface ExportTelemetry extends ExportEvents {
  /** Whether entries could be sent when that was last tried here. */
  readonly state: DependencyState
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
    waiting: ({ sequence, sinceMs }) => {
      next = sequence
      metrics.exportBehindSeconds.set(Math.max(0, clock.nowMs() - sinceMs) / 1000)
    },
    sent: (rows, { sequence }) => {
      metrics.exportedEntries.inc(rows)
      metrics.exportSequence.set(sequence)
      works()
    },
    caughtUp: () => {
      metrics.exportBehindSeconds.set(0)
      // With nothing to send nobody is asked, so what failed may fail still.
      if (watch.state.state === 'untried') watch.saw('ok')
    },
    elsewhere: () => {
      metrics.exportBehindSeconds.set(0)
    },
    failed: (error, retryInMs) => {
      const { code } = error
      metrics.exportFailures.labels(code).inc()
      watch.saw('failing')
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
