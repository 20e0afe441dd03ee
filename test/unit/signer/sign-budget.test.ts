import { describe, expect, test } from 'vitest'
import { createWindowBudget } from '../../../src/signer/sign-budget.ts'

const granted = { granted: true }

describe('a budget of one process', () => {
  test('gives all of itself at once, and nothing more', () => {
    const budget = createWindowBudget(10)

    expect([budget.take(9, 0), budget.take(1, 0)]).toEqual([granted, granted])
    expect(budget.take(1, 0)).toMatchObject({ granted: false })
  })

  test('gives all or none', () => {
    const budget = createWindowBudget(10)
    budget.take(3, 0)

    expect(budget.take(8, 0)).toMatchObject({ granted: false })
    expect(budget.take(7, 0)).toEqual(granted)
  })

  test('counts what was asked for ten seconds from the answer, not from the permit', () => {
    const budget = createWindowBudget(1)
    budget.take(1, 0)
    budget.asked(1, 4_000)

    expect(budget.take(1, 10_001)).toEqual({ granted: false, waitMs: 4_000 })
    expect(budget.take(1, 14_000)).toEqual({ granted: false, waitMs: 1 })
    expect(budget.take(1, 14_001)).toEqual(granted)
  })

  test('does not forget what is under way, however long it takes', () => {
    const budget = createWindowBudget(1)
    budget.take(1, 0)

    expect(budget.take(1, 1_000_000)).toEqual({ granted: false, waitMs: 10_001 })
  })

  test('has back at once what was not asked', () => {
    const budget = createWindowBudget(1)
    budget.take(1, 0)
    budget.giveBack(1)

    expect(budget.take(1, 0)).toEqual(granted)
  })

  test('counts what was asked without leave, even past its end', () => {
    const budget = createWindowBudget(4)
    budget.take(4, 0)
    budget.charge(2, 0)
    budget.asked(4, 0)

    expect(budget.used(10_000)).toBe(6)
    expect(budget.used(10_001)).toBe(0)
  })

  test('says until when so many could have been taken', () => {
    const budget = createWindowBudget(10)
    budget.take(10, 0)
    budget.asked(4, 1_000)
    budget.asked(6, 2_000)

    const waits = [4, 5, 10, 14, 15, 24, 25].map((units) => budget.waitMs(units, 3_000))
    expect(waits).toEqual([8_001, 9_001, 9_001, 18_001, 19_001, 28_001, 29_001])
  })

  test('says so of a time to come, and forgets nothing by it', () => {
    const budget = createWindowBudget(10)
    budget.take(10, 0)
    budget.asked(10, 0)

    expect(budget.waitMs(15, 20_000)).toBe(10_000)
    expect([budget.waitMs(1, 1), budget.used(1)]).toEqual([10_000, 10])
  })

  test('says that there is nothing to wait for when there is not', () => {
    const budget = createWindowBudget(10)
    budget.take(4, 0)

    expect(budget.waitMs(6, 0)).toBe(0)
    expect(budget.waitMs(7, 0)).toBeGreaterThan(0)
  })

  test('is asked for more than it can ever hold by mistake alone', () => {
    expect(() => createWindowBudget(7).take(8, 0)).toThrow(RangeError)
  })
})
