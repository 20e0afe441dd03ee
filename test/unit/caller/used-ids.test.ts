import { describe, expect, test } from 'vitest'
import { createMemoryUsedIds } from '../../../src/caller/used-ids.ts'
import { fixedClock } from '../../support/fixed-clock.ts'

const start = 1_790_000_000

describe('ids that were used', () => {
  test('are remembered for as long as was said, whatever the wall clock says', async () => {
    const clock = fixedClock(start)
    const usedIds = createMemoryUsedIds(clock, 10)
    expect(await usedIds.use('a', 60, {})).toBe('first')
    expect(await usedIds.use('b', 60, {})).toBe('first')
    clock.jump(3600)
    expect(await usedIds.use('a', 60, {})).toBe('again')
    clock.advance(59)
    expect(await usedIds.use('a', 60, {})).toBe('again')
    clock.advance(1)
    expect(await usedIds.use('a', 60, {})).toBe('first')
  })

  test('are not forgotten for new ones: those are refused until there is room', async () => {
    const clock = fixedClock(start)
    const usedIds = createMemoryUsedIds(clock, 2)
    await usedIds.use('a', 60, {})
    clock.advance(30)
    await usedIds.use('b', 60, {})
    expect(await usedIds.use('c', 60, {})).toBe('full')
    expect(await usedIds.use('a', 60, {})).toBe('again')
    clock.advance(30)
    expect(await usedIds.use('c', 60, {})).toBe('first')
    expect(await usedIds.use('b', 60, {})).toBe('again')
  })

  test('are remembered behind one that lasts longer', async () => {
    const clock = fixedClock(start)
    const usedIds = createMemoryUsedIds(clock, 3)
    await usedIds.use('long', 120, {})
    await usedIds.use('short', 10, {})
    clock.advance(11)
    expect(await usedIds.use('short', 10, {})).toBe('first')
    expect(await usedIds.use('long', 120, {})).toBe('again')
  })

  test('are good for whoever was first with them, and for nobody else', async () => {
    const usedIds = createMemoryUsedIds(fixedClock(start), 10)
    const [first, second] = [{}, {}]
    expect(await usedIds.use('a', 60, first)).toBe('first')
    expect(await usedIds.use('a', 60, second)).toBe('again')
    expect(await usedIds.use('a', 60, first)).toBe('first')
    expect(await usedIds.use('b', 60, second)).toBe('first')
    expect(await usedIds.use('b', 60, first)).toBe('again')
  })
})
