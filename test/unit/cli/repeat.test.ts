import { describe, expect, test } from 'vitest'
import { parseInterval, pauseMsFor, repeat } from '../../../src/cli/repeat.ts'

describe('an interval', () => {
  test.each([
    ['1s', 1000],
    ['5m', 300_000],
    ['24h', 86_400_000],
  ])('%s is %i ms', (text, ms) => {
    expect(parseInterval(text)).toBe(ms)
  })

  test.each(['', '5', '0s', '5d', '-1s', '1.5h', '25h', '5 m', '99999m'])('is not %j', (text) => {
    expect(() => parseInterval(text)).toThrow('a period such as 30s')
  })

  test('varies by a tenth either way', () => {
    expect([0, 0.5, 1].map((random) => pauseMsFor(10_000, random))).toEqual([9000, 10_000, 11_000])
  })
})

describe('what is repeated', () => {
  test('runs until it is told to stop, and not once more', async () => {
    const stop = new AbortController()
    let runs = 0
    await repeat(
      () => {
        runs += 1
        if (runs === 3) stop.abort()
        return Promise.resolve()
      },
      1,
      stop.signal,
    )
    expect(runs).toBe(3)
  })

  test('is left behind when it hangs', async () => {
    const stop = new AbortController()
    const ended = repeat(() => new Promise(() => undefined), 1, stop.signal)
    stop.abort()
    await ended
    expect(stop.signal.aborted).toBe(true)
  })

  test('ends with what a run throws', async () => {
    const broken = () => Promise.reject(new Error('broken'))
    await expect(repeat(broken, 1, new AbortController().signal)).rejects.toThrow('broken')
  })
})
