import { describe, expect, test } from 'vitest'
import type { GrantName } from '../../../src/base/ids.ts'
import { createMemoryGrantBudget, type GrantBudget } from '../../../src/policy/grant-budget.ts'
import { issuerName } from '../../support/caller-issuer.ts'
import { fixedClock } from '../../support/fixed-clock.ts'
import { grantName } from '../../support/grants.ts'

const [ship, other] = [grantName('ship'), grantName('other')]

const caller = (subject: string, issuer = 'github') => ({ issuer: issuerName(issuer), subject })
const take = (budget: GrantBudget, grant: GrantName, perMinute: number) =>
  budget.take(grant, { perMinute }, caller('job'))

function budgetAt(startSeconds: number) {
  const clock = fixedClock(startSeconds)
  return { clock, budget: createMemoryGrantBudget(clock) }
}

describe('the budget of grants', () => {
  test('gives what the minute holds and then says when there is more', () => {
    const { clock, budget } = budgetAt(1000)
    expect(take(budget, ship, 2)).toEqual({ ok: true })
    clock.advance(20)
    expect(take(budget, ship, 2)).toEqual({ ok: true })
    clock.advance(10)
    expect(take(budget, ship, 2)).toEqual({ ok: false, retryAfterSeconds: 31 })
  })

  test('keeps its word: after that many seconds there is one more, and a second earlier there is not', () => {
    const { clock, budget } = budgetAt(1000)
    take(budget, ship, 2)
    clock.advance(20)
    take(budget, ship, 2)
    clock.advance(10)
    clock.advance(30)
    expect(take(budget, ship, 2).ok).toBe(false)
    clock.advance(1)
    expect(take(budget, ship, 2).ok).toBe(true)
    expect(take(budget, ship, 2).ok).toBe(false)
  })

  test('never gives more than its number in any minute, wherever the minute begins', () => {
    const { clock, budget } = budgetAt(0)
    const given: number[] = []
    for (let step = 0; step < 2000; step += 1) {
      if (take(budget, ship, 7).ok) given.push(clock.nowMs())
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
    expect(take(budget, ship, 1).ok).toBe(true)
    expect(take(budget, other, 1).ok).toBe(true)
    expect(take(budget, ship, 1).ok).toBe(false)
  })

  test('follows a limit that a new policy has changed', () => {
    const { budget } = budgetAt(1000)
    take(budget, ship, 3)
    take(budget, ship, 3)
    expect(take(budget, ship, 2).ok).toBe(false)
    expect(take(budget, ship, 3).ok).toBe(true)
  })

  test.each([-86_400, -30, 30, 86_400])(
    'neither opens nor shuts when the wall clock jumps by %d s',
    (seconds) => {
      const { clock, budget } = budgetAt(1_000_000)
      take(budget, ship, 1)
      clock.jump(seconds)
      expect(take(budget, ship, 1).ok).toBe(false)
      clock.advance(61)
      expect(take(budget, ship, 1).ok).toBe(true)
    },
  )
})

describe('the budget of one caller', () => {
  const perCaller = { perMinute: 5, perCallerPerMinute: 2 }

  test('is its own: who asks too often is told when to come again, and others are served', () => {
    const { clock, budget } = budgetAt(1000)
    const noisy = () => budget.take(ship, perCaller, caller('noisy'))
    expect([noisy(), noisy()]).toEqual([{ ok: true }, { ok: true }])
    clock.advance(10)
    expect(noisy()).toEqual({ ok: false, retryAfterSeconds: 51 })
    expect(budget.take(ship, perCaller, caller('quiet'))).toEqual({ ok: true })
    expect(budget.take(ship, perCaller, caller('noisy', 'gitlab'))).toEqual({ ok: true })
    clock.advance(51)
    expect(noisy()).toEqual({ ok: true })
  })

  test('uses up nothing of the grant when it is refused, and nothing of its own when the grant is', () => {
    const { clock, budget } = budgetAt(1000)
    const from = (sub: string) => budget.take(ship, perCaller, caller(sub)).ok
    for (let i = 0; i < 9; i += 1) from('noisy')
    expect([from('a'), from('b'), from('c')]).toEqual([true, true, true])
    for (let i = 0; i < 9; i += 1) expect(from('d')).toBe(false)
    clock.advance(61)
    expect([from('d'), from('d'), from('d')]).toEqual([true, true, false])
  })

  test('is counted for each grant by itself', () => {
    const { budget } = budgetAt(1000)
    const only = { perCallerPerMinute: 1 }
    expect(budget.take(ship, only, caller('job')).ok).toBe(true)
    expect(budget.take(other, only, caller('job')).ok).toBe(true)
    expect(budget.take(ship, only, caller('job')).ok).toBe(false)
  })

  test('is remembered of ten thousand callers', () => {
    const { budget } = budgetAt(1000)
    const only = { perCallerPerMinute: 1 }
    const from = (sub: string) => budget.take(ship, only, caller(sub)).ok
    from('first')
    for (let i = 0; i < 9_999; i += 1) from(`job ${i}`)
    expect(from('first')).toBe(false)
    for (let i = 0; i < 10_000; i += 1) from(`other ${i}`)
    expect(from('first')).toBe(true)
  })
})
