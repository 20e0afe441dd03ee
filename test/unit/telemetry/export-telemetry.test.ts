import pino from 'pino'
import { beforeEach, describe, expect, test } from 'vitest'
import { ExportError } from '../../../src/custody/log-destination.ts'
import { genesis } from '../../../src/ledger/chain.ts'
import {
  createExportTelemetry,
  type ExportTelemetry,
} from '../../../src/telemetry/export-telemetry.ts'
import { createCommitSeconds, createMetrics } from '../../../src/telemetry/metrics.ts'
import { type FixedClock, fixedClock } from '../../support/fixed-clock.ts'
import { gaugesAtRest } from '../../support/gauges.ts'

const away = new ExportError('EXPORT_UNAVAILABLE')

let clock: FixedClock
let telemetry: ExportTelemetry
beforeEach(() => {
  clock = fixedClock(1_790_000_000)
  telemetry = createExportTelemetry({
    logger: pino({ level: 'silent' }),
    metrics: createMetrics(gaugesAtRest, createCommitSeconds()),
    clock,
  })
})

const writtenAgo = (seconds: number) => ({ sequence: 1, sinceMs: clock.nowMs() - seconds * 1000 })

describe('how far the export is behind', () => {
  test('is nothing before anything is tried, and when all was sent', () => {
    clock.advance(60)
    expect(telemetry.behindSeconds()).toBe(0)
    telemetry.waiting(writtenAgo(5))
    telemetry.sent(1, { ...genesis, sequence: 1 })
    telemetry.caughtUp()
    clock.advance(60)
    expect(telemetry.behindSeconds()).toBe(0)
  })

  test('grows through the pause behind a failure', () => {
    telemetry.waiting(writtenAgo(5))
    telemetry.failed(away, 300_000)
    expect(telemetry.behindSeconds()).toBe(5)
    clock.advance(240)
    expect(telemetry.behindSeconds()).toBe(245)
  })

  test('is told since it was last known to be none, where nothing can be read', () => {
    telemetry.caughtUp()
    clock.advance(2)
    for (let failures = 0; failures < 3; failures += 1) {
      telemetry.failed(new ExportError('EXPORT_CURSOR_FAILED'), 60_000)
      clock.advance(60)
    }
    expect(telemetry.behindSeconds()).toBe(182)
    telemetry.waiting(writtenAgo(7))
    expect(telemetry.behindSeconds()).toBe(7)
  })

  test('counts from the start, where nothing could ever be read', () => {
    clock.advance(10)
    telemetry.failed(away, 2000)
    clock.advance(1)
    expect(telemetry.behindSeconds()).toBe(11)
  })

  test('is nothing as soon as another replica sends', () => {
    telemetry.waiting(writtenAgo(5))
    telemetry.failed(away, 2000)
    clock.advance(2)
    telemetry.elsewhere()
    clock.advance(60)
    expect(telemetry.behindSeconds()).toBe(0)
  })

  test('is not changed by who sets the clock', () => {
    telemetry.waiting(writtenAgo(5))
    clock.jump(3600)
    expect(telemetry.behindSeconds()).toBe(5)
    telemetry.waiting({ sequence: 1, sinceMs: clock.nowMs() + 9000 })
    expect(telemetry.behindSeconds()).toBe(0)
  })
})
