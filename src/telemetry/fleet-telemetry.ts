import type { Logger } from 'pino'
import type { FleetEvents } from '../token-cache/fleet-flights.ts'
import type { RowRefusal } from '../token-cache/sealed-tokens.ts'
import type { TokenKey } from '../token-cache/token-key.ts'
import type { Metrics } from './metrics.ts'

export interface FleetTelemetry extends FleetEvents {
  /** A stored token was as good as none. */
  rowRefused(reason: RowRefusal, key: TokenKey): void
}

/** Between lines of the log about one thing that goes wrong again and again. */
const quietMs = 60_000

/** Log lines and counters of what replicas share, one function per event. */
export function createFleetTelemetry(deps: {
  readonly logger: Logger
  readonly metrics: Metrics
  readonly monotonicMs: () => number
}): FleetTelemetry {
  const { logger, metrics, monotonicMs } = deps
  const refusedOnce = new Set<RowRefusal>()
  let saidAtMs = Number.NEGATIVE_INFINITY
  const count = (outcome: string) => () => {
    metrics.sharedTokens.labels(outcome).inc()
  }
  return {
    sharedHit: count('hit'),
    sharedMiss: count('miss'),
    led: count('led'),
    joined: count('joined'),
    lost: count('lost'),
    notShared: (error) => {
      metrics.sharedTokens.labels('not-shared').inc()
      if (monotonicMs() - saidAtMs < quietMs) return
      saidAtMs = monotonicMs()
      logger.warn({ err: error }, 'tokens are not shared now')
    },
    rowRefused: (reason, { application, tenant, scope }) => {
      metrics.sharedTokensRefused.labels(reason).inc()
      // The first of its kind: whoever can write the table could fill the log.
      if (refusedOnce.has(reason)) return
      refusedOnce.add(reason)
      logger.error({ reason, application, tenant, scope }, 'a shared token was not taken')
    },
  }
}

/** Whether units of the vaults' budgets can be leased. */
export interface BudgetTelemetry {
  readonly traded: (outcome: 'answered' | Error) => void
}

/** Says when it begins to fail, which may be again and again, and when that is over. */
export function createBudgetTelemetry(logger: Logger, monotonicMs: () => number): BudgetTelemetry {
  let isAway = false
  let saidAtMs = Number.NEGATIVE_INFINITY
  return {
    traded: (outcome) => {
      if (outcome === 'answered') {
        if (isAway) logger.info('units of the budgets of vaults are leased again')
        isAway = false
      } else if (monotonicMs() - saidAtMs >= quietMs) {
        saidAtMs = monotonicMs()
        isAway = true
        logger.error({ err: outcome }, 'no units of the budgets of vaults can be leased now')
      }
    },
  }
}
