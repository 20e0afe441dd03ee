import { describe, expect, it } from 'vitest'
import { createAskBudget, type AskAnswer } from '../../../src/caller/ask-budget.ts'
import { fixedClock } from '../../support/fixed-clock.ts'

function createBudget() {
  const clock = fixedClock(1_795_000_000)
  const budget = createAskBudget(clock, { atOnce: 3, everyMs: 10_000 })
  const take = (times: number): readonly AskAnswer[] =>
    Array.from({ length: times }, () => budget.take())
  return { clock, take }
}

const yes = { ok: true }
const no = (retryAfterSeconds: number) => ({ ok: false, retryAfterSeconds })

describe('createAskBudget', () => {
  it('gives so many at once, and says when there is another', () => {
    expect(createBudget().take(5)).toEqual([yes, yes, yes, no(10), no(10)])
  })

  it('has another when it said so, and not before', () => {
    const { clock, take } = createBudget()
    take(3)
    clock.advance(9)
    expect(take(1)).toEqual([no(1)])
    clock.advance(1)
    expect(take(2)).toEqual([yes, no(10)])
  })

  it('rounds up to the whole second in which there is one', () => {
    const { clock, take } = createBudget()
    take(3)
    clock.advance(9.001)
    expect(take(1)).toEqual([no(1)])
  })

  it('never has more than so many, however long nobody took one', () => {
    const { clock, take } = createBudget()
    take(1)
    clock.advance(3600)
    expect(take(4)).toEqual([yes, yes, yes, no(10)])
  })

  it.each([-3600, 3600])('is neither filled nor shut by a wall clock set by %i s', (seconds) => {
    const { clock, take } = createBudget()
    take(3)
    clock.jump(seconds)
    expect(take(1)).toEqual([no(10)])
    clock.advance(10)
    expect(take(1)).toEqual([yes])
  })
})
