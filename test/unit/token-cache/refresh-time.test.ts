import { fc } from '../../support/drawn-cases.ts'
import { describe, expect, test } from 'vitest'
import { pauseAfterMs, refreshAtMs, servedUntilMs } from '../../../src/token-cache/refresh-time.ts'
import { obtainedToken } from '../../support/cached-tokens.ts'
import { fixedClock } from '../../support/fixed-clock.ts'

const rules = { minRemainingSeconds: 300, refreshAheadSeconds: 1200 }
const clock = fixedClock(1_000_000)
const secondsAfter = (lifetimeSeconds: number, spread: number, refreshInSeconds?: number) =>
  (refreshAtMs(
    obtainedToken(clock, {
      lifetimeSeconds,
      ...(refreshInSeconds === undefined ? {} : { refreshInSeconds }),
    }),
    rules,
    spread,
  ) -
    clock.monotonicMs()) /
  1000

describe('a token is refreshed', () => {
  test('as long ahead as the rules say, and within two thirds of the window', () => {
    expect(secondsAfter(3600, 0)).toBe(2400)
    expect(secondsAfter(3600, 0.5)).toBe(2400 + 300)
    expect(secondsAfter(3600, 1)).toBe(2400 + 600)
  })

  test('not before half of the time that it is served, however short that is', () => {
    expect(secondsAfter(700, 0)).toBe(200)
    expect(secondsAfter(302, 0)).toBe(1)
  })

  test('when Entra says, if that is sooner', () => {
    expect(secondsAfter(86_400, 0, 43_200)).toBe(43_200)
    // Spread like the others, so that a thousand of one minute are not refreshed in one.
    expect(secondsAfter(86_400, 1, 43_200)).toBe(43_200 + 600)
    expect(secondsAfter(3600, 0, 3500)).toBe(2400)
  })

  test('while it is served, whatever its life, the rules and the spread are', () => {
    const seconds = fc.integer({ min: 1, max: 100_000 })
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 3000 }),
        seconds,
        seconds,
        fc.option(seconds),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (minRemainingSeconds, ahead, served, refreshInSeconds, spread) => {
          const token = obtainedToken(clock, {
            lifetimeSeconds: minRemainingSeconds + served,
            ...(refreshInSeconds === null ? {} : { refreshInSeconds }),
          })
          const some = { minRemainingSeconds, refreshAheadSeconds: minRemainingSeconds + ahead }
          const atMs = refreshAtMs(token, some, spread)
          expect(atMs).toBeGreaterThanOrEqual(clock.monotonicMs())
          expect(atMs).toBeLessThan(servedUntilMs(token, some))
        },
      ),
    )
  })
})

test('a refresh that fails is tried again after pauses that grow, and not for ever', () => {
  const pauses = [1, 2, 3, 4, 5, 6, 9, 10].map((failures) => pauseAfterMs(failures, 600_000))
  expect(pauses).toEqual([15_000, 30_000, 60_000, 120_000, 240_000, 240_000, 240_000, undefined])
})

test.each([
  { servedForMs: 20_000, failures: 1, pauseMs: 10_000 },
  { servedForMs: 20_001, failures: 3, pauseMs: 10_000.5 },
  { servedForMs: 500, failures: 1, pauseMs: 1_000 },
  { servedForMs: 0, failures: 1, pauseMs: 15_000 },
  { servedForMs: -60_000, failures: 2, pauseMs: 30_000 },
  { servedForMs: 500, failures: 10, pauseMs: undefined },
])(
  'after $failures failures, when it is served for $servedForMs ms more, it rests for $pauseMs',
  ({ servedForMs, failures, pauseMs }) => {
    expect(pauseAfterMs(failures, servedForMs)).toBe(pauseMs)
  },
)
