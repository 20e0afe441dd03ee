import { fc } from '../../../support/drawn-cases.ts'
import { describe, expect, test } from 'vitest'
import {
  paceAfter,
  paceFrom,
  paceInside,
  type TimeWindow,
  windowAt,
} from '../../../../src/reconcile/workspace/time-windows.ts'

const hourMs = 3_600_000
const rowsMax = 1000

/**
 * The windows that are read whole, of a table that has so many rows an hour; what has more than are taken at once is
 * refused.
 */
function readWindows(fromMs: number, untilMs: number, rowsIn: (window: TimeWindow) => number) {
  const read: TimeWindow[] = []
  let asked = 0
  let pace = paceFrom(fromMs)
  while (pace.fromMs < untilMs) {
    asked += 1
    const window = windowAt(pace, untilMs)
    const rows = rowsIn(window)
    const inside = rows > rowsMax ? paceInside(window) : undefined
    if (inside === undefined) {
      read.push(window)
      pace = paceAfter(window, rows, rowsMax)
    } else {
      pace = inside
    }
  }
  return { read, asked }
}

const lengthOf = ({ fromMs, toMs }: TimeWindow) => toMs - fromMs

describe('windows of time', () => {
  test('are one where there is little', () => {
    expect(readWindows(0, 20 * hourMs, () => 10)).toEqual({
      read: [{ fromMs: 0, toMs: 20 * hourMs }],
      asked: 1,
    })
  })

  test('grow where there is little for long, so that a year takes few', () => {
    expect(readWindows(0, 365 * 24 * hourMs, () => 0).asked).toBeLessThan(7)
  })

  test('shrink to what is taken at once, and do not grow again while that is much', () => {
    const anHour = 900
    const { read, asked } = readWindows(0, 48 * hourMs, (window) =>
      Math.ceil((lengthOf(window) / hourMs) * anHour),
    )
    expect(read.every((window) => (lengthOf(window) / hourMs) * anHour <= rowsMax)).toBe(true)
    expect(asked).toBeLessThan(read.length + 10)
  })

  test('end at a millisecond: what is too much then cannot be split', () => {
    expect(paceInside({ fromMs: 5, toMs: 6 })).toBeUndefined()
    expect(paceInside({ fromMs: 5, toMs: 7 })).toEqual({ fromMs: 5, lengthMs: 1 })
    expect(windowAt({ fromMs: 5, lengthMs: 1 }, 100)).toEqual({ fromMs: 5, toMs: 6 })
  })

  test('leave nothing out and read nothing twice, whatever is in them', () => {
    const spans = fc.tuple(fc.nat(10 * 24 * hourMs), fc.nat(10 * 24 * hourMs))
    fc.assert(
      fc.property(spans, fc.infiniteStream(fc.nat(2 * rowsMax)), ([fromMs, lengthMs], amounts) => {
        const untilMs = fromMs + lengthMs
        // Ten times, and then little: a table that is too much for ever is never read.
        let refused = 0
        const { read } = readWindows(fromMs, untilMs, () => {
          const amount = Number(amounts.next().value)
          if (amount > rowsMax) refused += 1
          return refused > 10 ? 0 : amount
        })
        const ends = [fromMs, ...read.map(({ toMs }) => toMs)]
        expect(read.map((window) => window.fromMs)).toEqual(ends.slice(0, -1))
        expect(ends.at(-1)).toBe(untilMs)
      }),
    )
  })
})
