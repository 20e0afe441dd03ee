import { describe, expect, test } from 'vitest'
import {
  atLeastMsSince,
  atLeastMsUntil,
  atMostMsSince,
  instantNow,
  laterBy,
  parseIsoTime,
  systemClock,
} from '../../../src/base/clock.ts'
import { fixedClock } from '../../support/fixed-clock.ts'

describe('the clock of the system', () => {
  test('tells the time of day, and time that passes on a scale of its own', () => {
    expect(Math.abs(systemClock.nowMs() - Date.now())).toBeLessThan(1000)
    expect(systemClock.nowSeconds()).toBeLessThanOrEqual(Date.now() / 1000)
    const before = systemClock.monotonicMs()
    expect(systemClock.monotonicMs()).toBeGreaterThanOrEqual(before)
    expect(systemClock.monotonicMs()).toBeLessThan(systemClock.nowMs() / 2)
  })
})

describe('an instant', () => {
  test('is as far away as time has passed, while nobody touches the clock', () => {
    const clock = fixedClock(1_000_000)
    const instant = laterBy(10_000, instantNow(clock))
    clock.advance(4)
    expect(atLeastMsUntil(instant, clock)).toBe(6000)
    clock.advance(10)
    expect(atLeastMsSince(instant, clock)).toBe(4000)
    expect(atMostMsSince(instant, clock)).toBe(4000)
  })

  test.each([
    ['forward', 3600, { least: 60_000, most: 3_660_000 }],
    ['back', -3600, { least: -3_540_000, most: 60_000 }],
  ])('after the wall clock was set %s, is as old as the stricter scale says', (_, seconds, ms) => {
    const clock = fixedClock(1_000_000)
    const instant = instantNow(clock)
    clock.jump(seconds)
    clock.advance(60)
    expect(atLeastMsSince(instant, clock)).toBe(ms.least)
    expect(atMostMsSince(instant, clock)).toBe(ms.most)
    expect(atLeastMsUntil(instant, clock)).toBe(-ms.most)
  })
})

test('a time is read to the millisecond however many digits its fraction has', () => {
  for (const rest of ['', '4', '432', '4321', '43210000000']) {
    expect(parseIsoTime(`2026-11-22T04:00:00.023${rest}Z`)).toBe(
      Date.UTC(2026, 10, 22, 4, 0, 0, 23),
    )
  }
  expect(parseIsoTime('2026-11-22T04:00:00.0232404321Z')).toBe(Date.UTC(2026, 10, 22, 4, 0, 0, 23))
})
