import { fc } from '../../support/drawn-cases.ts'
import { describe, expect, test } from 'vitest'
import { createMemoryUsedIds } from '../../../src/caller/used-ids.ts'
import { fixedClock } from '../../support/fixed-clock.ts'

const start = 1_790_000_000

describe('ids that were used', () => {
  test('are remembered for as long as was said, whatever the wall clock says', async () => {
    const clock = fixedClock(start)
    const usedIds = createMemoryUsedIds(clock, 10)
    expect(await usedIds.use('k', 'a', 60, {})).toBe('first')
    expect(await usedIds.use('k', 'b', 60, {})).toBe('first')
    clock.jump(3600)
    expect(await usedIds.use('k', 'a', 60, {})).toBe('again')
    clock.advance(59)
    expect(await usedIds.use('k', 'a', 60, {})).toBe('again')
    clock.advance(1)
    expect(await usedIds.use('k', 'a', 60, {})).toBe('first')
  })

  test('are not forgotten for new ones: those are refused until there is room', async () => {
    const clock = fixedClock(start)
    const usedIds = createMemoryUsedIds(clock, 4)
    await usedIds.use('k', 'a', 60, {})
    clock.advance(30)
    await usedIds.use('k', 'b', 60, {})
    expect(await usedIds.use('k', 'c', 60, {})).toBe('full')
    expect(await usedIds.use('k', 'a', 60, {})).toBe('again')
    clock.advance(30)
    expect(await usedIds.use('k', 'c', 60, {})).toBe('first')
    expect(await usedIds.use('k', 'b', 60, {})).toBe('again')
  })

  test('are remembered behind one that lasts longer', async () => {
    const clock = fixedClock(start)
    const usedIds = createMemoryUsedIds(clock, 6)
    await usedIds.use('k', 'long', 120, {})
    await usedIds.use('k', 'short', 10, {})
    clock.advance(11)
    expect(await usedIds.use('k', 'short', 10, {})).toBe('first')
    expect(await usedIds.use('k', 'long', 120, {})).toBe('again')
  })

  const usesOf = async (
    usedIds: ReturnType<typeof createMemoryUsedIds>,
    holder: string,
    ids: number,
  ) => {
    let first = 0
    for (let id = 0; id < ids; id += 1) {
      if ((await usedIds.use(holder, `${holder} ${id}`, 60, {})) === 'first') first += 1
    }
    return first
  }

  test('of one holder take half of the memory, and the next ones find room', async () => {
    const clock = fixedClock(start)
    const usedIds = createMemoryUsedIds(clock, 100)
    expect(await usesOf(usedIds, 'noisy', 1000)).toBe(50)
    expect(await usesOf(usedIds, 'other', 1000)).toBe(25)
    expect(await usesOf(usedIds, 'quiet', 5)).toBe(5)
    clock.advance(60)
    expect(await usesOf(usedIds, 'other', 1000)).toBe(50)
  })

  test('are never more than there is room for, and each id is first once', async () => {
    const uses = fc.array(
      fc.record({
        holder: fc.constantFrom('a', 'b', 'c'),
        id: fc.nat({ max: 6 }),
        forSeconds: fc.integer({ min: 1, max: 20 }),
        passes: fc.nat({ max: 5 }),
      }),
      { maxLength: 60 },
    )
    await fc.assert(
      fc.asyncProperty(uses, fc.integer({ min: 1, max: 12 }), async (all, entriesMax) => {
        const clock = fixedClock(start)
        const usedIds = createMemoryUsedIds(clock, entriesMax)
        const endsAt = new Map<string, number>()
        for (const { holder, id, forSeconds, passes } of all) {
          clock.advance(passes)
          const name = `${holder} ${id}`
          const now = clock.nowSeconds()
          const isKnown = (endsAt.get(name) ?? 0) > now
          const found = await usedIds.use(holder, name, forSeconds, {})
          expect(found === 'again').toBe(isKnown)
          if (found === 'first') endsAt.set(name, now + forSeconds)
          expect([...endsAt.values()].filter((at) => at > now).length).toBeLessThanOrEqual(
            entriesMax,
          )
        }
      }),
      { numRuns: 500 },
    )
  })

  test('are good for whoever was first with them, and for nobody else', async () => {
    const usedIds = createMemoryUsedIds(fixedClock(start), 10)
    const [first, second] = [{}, {}]
    expect(await usedIds.use('k', 'a', 60, first)).toBe('first')
    expect(await usedIds.use('k', 'a', 60, second)).toBe('again')
    expect(await usedIds.use('k', 'a', 60, first)).toBe('first')
    expect(await usedIds.use('k', 'b', 60, second)).toBe('first')
    expect(await usedIds.use('k', 'b', 60, first)).toBe('again')
  })
})
