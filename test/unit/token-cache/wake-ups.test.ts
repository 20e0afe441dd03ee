import { fc } from '../../support/drawn-cases.ts'
import { expect, test } from 'vitest'
import { createWakeUps, type WakeUps } from '../../../src/token-cache/wake-ups.ts'

function takeAll(wakeUps: WakeUps<string>, nowMs: number): readonly string[] {
  const taken: string[] = []
  for (;;) {
    const name = wakeUps.take(nowMs)
    if (name === undefined) return taken.toSorted()
    taken.push(name)
  }
}

test('nothing is taken before its time, and everything within a second of it', () => {
  const wakeUps = createWakeUps<string>(0)
  wakeUps.add('a', 1500)
  wakeUps.add('b', 2000)
  wakeUps.add('c', 7_200_000)
  expect(takeAll(wakeUps, 1999)).toEqual([])
  expect(takeAll(wakeUps, 2000)).toEqual(['a', 'b'])
  expect(takeAll(wakeUps, 7_199_999)).toEqual([])
  expect(takeAll(wakeUps, 7_200_000)).toEqual(['c'])
})

test('what is late already is taken at once', () => {
  const wakeUps = createWakeUps<string>(0)
  expect(takeAll(wakeUps, 10_000)).toEqual([])
  wakeUps.add('late', 1)
  expect(takeAll(wakeUps, 10_000)).toEqual(['late'])
})

test('what was removed is not taken, and what was not is taken once', () => {
  const times = fc.array(fc.tuple(fc.integer({ min: 0, max: 100_000 }), fc.boolean()))
  fc.assert(
    fc.property(times, (items) => {
      const wakeUps = createWakeUps<string>(0)
      const kept = items.flatMap(([atMs, isRemoved], index) => {
        const name = String(index)
        const slot = wakeUps.add(name, atMs)
        if (isRemoved) wakeUps.remove(name, slot)
        return isRemoved ? [] : [{ name, atMs }]
      })
      const taken: string[] = []
      for (let nowMs = 0; nowMs <= 101_000; nowMs += 500) {
        for (const name of takeAll(wakeUps, nowMs)) {
          const { atMs } = kept.find((one) => one.name === name) ?? { atMs: Infinity }
          expect(nowMs).toBeGreaterThanOrEqual(atMs)
          expect(nowMs).toBeLessThan(atMs + 1500)
          taken.push(name)
        }
      }
      expect(taken.toSorted()).toEqual(kept.map(({ name }) => name).toSorted())
    }),
  )
})
