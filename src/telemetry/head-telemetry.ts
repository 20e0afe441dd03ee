import type { Logger } from 'pino'
import type { Clock } from '../base/clock.ts'
import { createDependencyWatch, type DependencyState } from '../base/dependency-watch.ts'
import type { HeadEvents } from '../custody/heads.ts'
import type { Metrics } from './metrics.ts'

export interface HeadTelemetry extends HeadEvents {
  /** Whether the last head that this process was to sign was signed. */
  readonly heads: DependencyState
  /** Whether every anchor has the last one. */
  readonly anchors: DependencyState
}

/** Between lines of the log about one thing that goes wrong again and again. */
const quietMs = 60_000

/** Log lines, counters and states of heads: nothing else would say that there are none. */
export function createHeadTelemetry(deps: {
  readonly logger: Logger
  readonly metrics: Metrics
  readonly clock: Clock
}): HeadTelemetry {
  const { logger, metrics, clock } = deps
  const heads = createDependencyWatch(clock)
  const anchors = createDependencyWatch(clock)
  const failing = new Set<string>()
  const saidAtMs = new Map<string, number>()
  const mayLog = (what: string) => {
    const said = saidAtMs.get(what) ?? Number.NEGATIVE_INFINITY
    if (clock.monotonicMs() - said < quietMs) return false
    saidAtMs.set(what, clock.monotonicMs())
    return true
  }
  return {
    get heads() {
      return heads.state
    },
    get anchors() {
      return anchors.state
    },
    signed: ({ sequence }) => {
      metrics.heads.labels('signed').inc()
      metrics.headSequence.set(sequence)
      if (heads.state.state === 'failing') logger.info({ sequence }, 'heads are signed again')
      heads.saw('ok')
    },
    notSigned: (error) => {
      metrics.heads.labels('failed').inc()
      heads.saw('failing')
      if (mayLog('heads')) logger.error({ err: error }, 'no head of the ledger could be signed')
    },
    turnNotEnded: (error) => {
      if (mayLog('turns')) logger.error({ err: error }, 'the turn of a head ends late')
    },
    anchored: (anchor) => {
      metrics.anchoredHeads.labels('kept').inc()
      if (failing.delete(anchor)) logger.info({ anchor }, 'an anchor keeps heads again')
      if (failing.size === 0) anchors.saw('ok')
    },
    notAnchored: (anchor, error) => {
      metrics.anchoredHeads.labels('failed').inc()
      failing.add(anchor)
      anchors.saw('failing')
      if (mayLog(anchor)) logger.error({ anchor, err: error }, 'an anchor does not keep a head')
    },
  }
}
