import type { Logger } from 'pino'
import type { Clock } from '../base/clock.ts'
import type { IssuanceEvents } from '../issuance/issuance-events.ts'
import type { DependencyWatch } from '../base/dependency-watch.ts'
import type { Metrics } from './metrics.ts'

/** Lines per minute and reason; the rest are counted, so that junk cannot fill a disk. */
const refusalLinesPerMinute = 10
/** Lines per minute and code: one failure that thousands wait for cannot fill it either. */
const failureLinesPerMinute = 100

/** Entra did not answer, or somebody else did. */
const saysNothing: ReadonlySet<Parameters<IssuanceEvents['exchangeFailed']>[0]> = new Set([
  'ENTRA_UNAVAILABLE',
  'ENTRA_TIMEOUT',
  'ENTRA_MALFORMED',
])

/** Log lines, counters and dependency states of issuing, one function per event. */
export function createIssuanceTelemetry(deps: {
  readonly logger: Logger
  readonly metrics: Metrics
  readonly clock: Clock
  readonly vault: DependencyWatch
  readonly entra: DependencyWatch
}): IssuanceEvents {
  const { logger, metrics, vault, entra } = deps
  const fromCache = metrics.tokensIssued.labels('cache')
  const fromExchange = metrics.tokensIssued.labels('exchange')
  const hits = metrics.cacheLookups.labels('hit')
  const misses = metrics.cacheLookups.labels('miss')
  const mayLog = sampler(deps.clock, refusalLinesPerMinute)
  const mayLogFlight = sampler(deps.clock, failureLinesPerMinute)
  const mayLogFailure = sampler(deps.clock, failureLinesPerMinute)

  return {
    // Not logged: the ledger has the whole of it, and this happens thousands of times a second.
    tokenIssued: (source) => {
      ;(source === 'cache' ? fromCache : fromExchange).inc()
    },
    cacheAsked: (outcome) => {
      ;(outcome === 'hit' ? hits : misses).inc()
    },
    tokenRefreshed: () => {
      metrics.refreshes.labels('refreshed').inc()
    },
    refreshLeft: () => {
      metrics.refreshes.labels('left').inc()
    },
    refreshFailed: (attempt, code, cause) => {
      metrics.refreshes.labels('failed').inc()
      if (mayLogFailure(code)) logger.warn({ attempt, code, err: cause }, 'refresh failed')
    },
    tokenEvicted: () => {
      metrics.cacheEvictions.inc()
    },
    assertionIssued: () => {
      metrics.assertionsIssued.inc()
    },
    refused: (attempt, reason) => {
      metrics.refusals.labels(reason).inc()
      if (mayLog(reason)) logger.info({ attempt, reason }, 'refused')
    },
    turnedAway: (attempt, reason, issuer, detail) => {
      metrics.refusals.labels(reason).inc()
      if (mayLog(reason)) logger.info({ attempt, reason, issuer, detail }, 'turned away')
    },
    permitGranted: (waitedMs) => {
      metrics.permitWaitSeconds.observe(waitedMs / 1000)
    },
    permitRefused: (code) => {
      metrics.permitsRefused.labels(code).inc()
    },
    circuitChanged: (change) => {
      if (change.to === 'open') logger.warn(change, 'left alone for a while')
      else logger.info(change, 'well again')
    },
    certificateSwitched: ({ certificate, application, from, to, reason }) => {
      metrics.certificateSwitches.labels(to).inc()
      logger.warn({ certificate, application, from, to, reason }, 'another certificate signs')
    },
    signatureMade: (purpose, durationMs) => {
      metrics.signatures.labels(purpose).inc()
      metrics.signSeconds.observe(durationMs / 1000)
      vault.saw('ok')
    },
    signatureFailed: ({ code, asked }) => {
      metrics.signatureFailures.labels(code).inc()
      // Of an identity that gets no token nobody knows whether the vault is well, and it cannot be asked.
      if (asked || code === 'SIGNER_CREDENTIAL') vault.saw('failing')
    },
    exchangeMade: (durationMs) => {
      metrics.exchanges.labels('succeeded').inc()
      metrics.exchangeSeconds.observe(durationMs / 1000)
      entra.saw('ok')
    },
    exchangeFailed: (code) => {
      metrics.exchanges.labels('failed').inc()
      entra.saw(saysNothing.has(code) ? 'failing' : 'ok')
    },
    flightFailed: (attempt, code, cause) => {
      if (mayLogFlight(code)) logger.warn({ attempt, code, err: cause }, 'no token was obtained')
    },
    callerGone: (attempt) => {
      metrics.callersGone.inc()
      if (mayLog('caller_gone')) logger.info({ attempt }, 'the caller has gone')
    },
    failed: (attempt, code, cause) => {
      metrics.failures.labels(code).inc()
      if (mayLogFailure(code)) logger.error({ attempt, code, err: cause }, 'failed')
    },
    // By kind: thousands that fail because the ledger does must not hide what failed before it.
    unrecorded: (attempt, entry, cause) => {
      if (mayLogFailure(entry.kind)) logger.error({ attempt, entry, err: cause }, 'not recorded')
    },
  }
}

/** Allows so many lines per reason in each minute, whatever the wall clock shows. */
function sampler(clock: Clock, linesPerMinute: number): (reason: string) => boolean {
  let minute = 0
  let lines = new Map<string, number>()
  return (reason) => {
    const now = Math.floor(clock.monotonicMs() / 60_000)
    if (now !== minute) {
      minute = now
      lines = new Map()
    }
    const count = (lines.get(reason) ?? 0) + 1
    lines.set(reason, count)
    return count <= linesPerMinute
  }
}
