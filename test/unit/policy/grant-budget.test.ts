import { describe, expect, test } from 'vitest'
import { createMemoryGrantBudget } from '../../../src/policy/grant-budget.ts'
import { fixedClock } from '../../support/fixed-clock.ts'
import { grantName } from '../../support/grants.ts'

const [ship, other] = [grantName('ship'), grantName('other')]

function budgetAt(startSeconds: number) {
  const clock = fixedClock(startSeconds)
  return { clock, budget: createMemoryGrantBudget(clock) }
}

describe('the budget of grants', () => {
  test('gives what the minute holds and then says when there is more', () => {
    const { clock, budget } = budgetAt(1000)
    expect(budget.take(ship, 2)).toEqual({ ok: true })
    clock.advance(20)
    expect(budget.take(ship, 2)).toEqual({ ok: true })
    clock.advance(10)
    expect(budget.take(ship, 2)).toEqual({ ok: false, retryAfterSeconds: 31 })
  })

  test('keeps its word: after that many seconds there is one more, and a second earlier there is not', () => {
    const { clock, budget } = budgetAt(1000)
    budget.take(ship, 2)
    clock.advance(20)
    budget.take(ship, 2)
    clock.advance(10)
    clock.advance(30)
    expect(budget.take(ship, 2).ok).toBe(false)
    clock.advance(1)
    expect(budget.take(ship, 2).ok).toBe(true)
    expect(budget.take(ship, 2).ok).toBe(false)
  })

  test('never gives more than its number in any minute, wherever the minute begins', () => {
    const { clock, budget } = budgetAt(0)
    const given: number[] = []
    for (let step = 0; step < 2000; step += 1) {
      if (budget.take(ship, 7).ok) given.push(clock.nowMs())
      clock.advance(0.35)
    }
    expect(given.length).toBeGreaterThan(70)
    for (const [index, at] of given.entries()) {
      const eighth = given[index + 7]
      if (eighth !== undefined) expect(eighth - at).toBeGreaterThanOrEqual(60_000)
    }
  })

  test('counts each grant by itself', () => {
    const { budget } = budgetAt(1000)
    expect(budget.take(ship, 1).ok).toBe(true)
    expect(budget.take(other, 1).ok).toBe(true)
    expect(budget.take(ship, 1).ok).toBe(false)
  })

  test('follows a limit that a new policy has changed', () => {
    const { budget } = budgetAt(1000)
    budget.take(ship, 3)
    budget.take(ship, 3)
    expect(budget.take(ship, 2).ok).toBe(false)
    expect(budget.take(ship, 3).ok).toBe(true)
  })

  test.each([-86_400, -30, 30, 86_400])(
    'neither opens nor shuts when the wall clock jumps by %d s',
    (seconds) => {
      const { clock, budget } = budgetAt(1_000_000)
      budget.take(ship, 1)
      clock.jump(seconds)
      expect(budget.take(ship, 1).ok).toBe(false)
      clock.advance(61)
      expect(budget.take(ship, 1).ok).toBe(true)
    },
  )
})
