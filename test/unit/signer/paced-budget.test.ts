import { describe, expect, test } from 'vitest'
import { createPacedBudget } from '../../../src/signer/paced-budget.ts'
import { createWindowBudget } from '../../../src/signer/sign-budget.ts'
import { steadyPace } from '../../support/steady-pace.ts'
import { fc } from '../../support/drawn-cases.ts'

/** Ample, so that the pace alone holds anybody up. */
const pacedAt = (unitsPerMs: () => number) =>
  createPacedBudget(createWindowBudget(100_000), steadyPace(unitsPerMs))

test('spends no more in any time than its rate comes to, but for eight or a quarter of a second', () => {
  const takes = fc.array(fc.record({ afterMs: fc.nat(400), units: fc.constantFrom(1, 1, 4, 8) }), {
    minLength: 1,
    maxLength: 200,
  })
  fc.assert(
    fc.property(takes, fc.constantFrom(0.002, 0.01, 0.03, 0.16), (wishes, rate) => {
      const budget = pacedAt(() => rate)
      const kept = Math.max(8, rate * 250)
      const taken: { readonly atMs: number; readonly units: number }[] = []
      let nowMs = 0
      for (const { afterMs, units } of wishes) {
        nowMs += afterMs
        if (budget.take(units, nowMs).granted) taken.push({ atMs: nowMs, units })
      }
      taken.forEach((first, from) => {
        let units = 0
        for (const one of taken.slice(from)) {
          units += one.units
          expect(units).toBeLessThanOrEqual(kept + rate * (one.atMs - first.atMs) + 1e-6)
        }
      })
    }),
  )
})

test('says when it has enough, and has it then and not before', () => {
  const budget = pacedAt(() => 0.01)
  expect(budget.take(8, 0).granted).toBe(true)
  expect(budget.waitMs(3, 0)).toBe(300)
  expect(budget.waitMs(3, 100)).toBe(200)
  // The rate may have grown by then.
  expect(budget.take(3, 0)).toEqual({ granted: false, waitMs: 250 })
  expect(budget.take(3, 299).granted).toBe(false)
  expect(budget.take(3, 300).granted).toBe(true)
})

test('has back what was not asked', () => {
  const budget = pacedAt(() => 0.01)
  budget.take(8, 0)
  budget.giveBack(8)
  expect(budget.take(8, 0).granted).toBe(true)
  expect(budget.used(0)).toBe(8)
})

test('keeps as much as comes in a quarter of a second, where that is more', () => {
  const budget = pacedAt(() => 0.16)
  budget.take(40, 0)
  expect(budget.take(41, 1_000_000).granted).toBe(false)
  expect(budget.take(40, 1_000_000).granted).toBe(true)
})

test('saves nothing else up', () => {
  const budget = pacedAt(() => 0.01)
  budget.take(8, 0)
  expect(budget.take(8, 1_000_000).granted).toBe(true)
  expect(budget.take(1, 1_000_000).granted).toBe(false)
})

describe('whatever its rate,', () => {
  test('is held to the budget behind it, whose wait it tells', () => {
    const budget = createPacedBudget(
      createWindowBudget(10),
      steadyPace(() => 1),
    )
    expect(budget.take(8, 0).granted).toBe(true)
    budget.asked(8, 0)
    expect(budget.take(8, 5_000)).toEqual({ granted: false, waitMs: 5_001 })
    // What was refused behind it is not spent.
    expect(budget.take(8, 10_001).granted).toBe(true)
  })

  test('lets everything go that was waiting when the rate is gone', () => {
    let rate = 0.001
    const budget = pacedAt(() => rate)
    budget.take(8, 0)
    expect(budget.take(100, 0).granted).toBe(false)
    rate = Infinity
    expect(budget.take(1000, 0).granted).toBe(true)
  })
})
