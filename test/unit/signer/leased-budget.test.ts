import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { systemClock } from '../../../src/base/clock.ts'
import { DatabaseAccessError } from '../../../src/database-access/database-access-error.ts'
import { createLeasedBudget } from '../../../src/signer/leased-budget.ts'
import { lendingTerms, type UnitTrade } from '../../../src/signer/unit-lender.ts'
import { createMemoryUnits } from '../../support/memory-unit-lender.ts'

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date', 'performance'] })
})
afterEach(() => {
  vi.useRealTimers()
})

const nowMs = () => Math.floor(systemClock.monotonicMs())
const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms)

/** Replicas of one budget, and what each has asked the lender for. */
function createLending(unitsMax: number) {
  const units = createMemoryUnits({ unitsMax, terms: lendingTerms, clock: systemClock })
  const open = () => {
    const lender = units.open()
    const trades: UnitTrade[] = []
    const outcomes: unknown[] = []
    let traded = 0
    let answers = true
    const budget = createLeasedBudget({
      unitsMax,
      terms: lendingTerms,
      clock: systemClock,
      lender: {
        trade: (trade) => {
          trades.push(trade)
          const away = new DatabaseAccessError('DATABASE_UNREACHABLE')
          return answers ? lender.trade(trade) : Promise.reject(away)
        },
      },
      whenTraded: () => (traded += 1),
      onTrade: (outcome) => outcomes.push(outcome),
    })
    /** Asks until it gets them, as a governor does. */
    const taken = async (count: number, waiting = count) => {
      while (!budget.take(count, nowMs(), waiting).granted) await pass(5)
    }
    const setAway = (isAway: boolean) => {
      answers = !isAway
    }
    return { budget, trades, outcomes, taken, setAway, traded: () => traded }
  }
  return { open, lender: units.open() }
}

const nothing: UnitTrade = {
  ...{ needed: 0, wanted: 0, waiting: 0 },
  ...{ leaseId: 'none', reports: [], charged: 0 },
}

describe('a leased budget', () => {
  test('asks for units when somebody lacks them, says when it may have them, and calls back', async () => {
    const { budget, trades, traded } = createLending(400).open()
    const answer = budget.take(1, nowMs(), 1)
    expect(answer).toMatchObject({ granted: false })
    expect(budget.waitMs(1, nowMs())).toBeLessThan(50)
    await pass(5)

    expect(trades).toMatchObject([{ needed: 1, wanted: 8, waiting: 1 }])
    expect(traded()).toBe(1)
    expect(budget.waitMs(1, nowMs())).toBe(0)
    expect(budget.take(1, nowMs(), 1)).toMatchObject({ granted: true })
  })

  test('has a handful for whoever comes next without asking again', async () => {
    const { budget, trades, taken } = createLending(400).open()
    await taken(1)
    for (let i = 0; i < 5; i += 1) {
      expect(budget.take(1, nowMs(), 1)).toMatchObject({ granted: true })
    }
    expect(trades).toHaveLength(1)
  })

  test('asks for as many as wait, and for no more than an eighth of it', async () => {
    const { trades, taken } = createLending(400).open()
    await taken(1, 30)
    expect(trades.at(-1)).toMatchObject({ needed: 1, wanted: 30, waiting: 30 })
    await taken(30, 300)
    expect(trades.at(-1)?.wanted).toBe(50)
  })

  test('asks for what somebody needs, though it is more than its part', async () => {
    const { trades, taken } = createLending(20).open()
    await taken(8)
    expect(trades.at(-1)).toMatchObject({ needed: 8, wanted: 8 })
  })

  test('fetches more before the last one is taken, when units go fast', async () => {
    const { budget, taken } = createLending(4000).open()
    await taken(1, 100)
    let lacked = 0
    for (let i = 0; i < 400; i += 1) {
      if (!budget.take(1, nowMs(), 1).granted) lacked += 1
      await pass(5)
    }
    expect(lacked).toBe(0)
  })

  test('gives back within two seconds what nobody takes', async () => {
    const { open, lender } = createLending(400)
    const { budget, taken } = open()
    await taken(1)
    budget.asked(1, nowMs())
    await pass(2100)

    expect((await lender.trade(nothing)).free).toBe(399)
    await pass(10_100)
    expect((await lender.trade(nothing)).free).toBe(400)
  })

  test('tells what was asked for without leave, which counts for all', async () => {
    const { open, lender } = createLending(400)
    const { budget } = open()
    budget.charge(3, nowMs())
    await pass(50)

    expect((await lender.trade(nothing)).free).toBe(397)
    expect(budget.used(nowMs())).toBe(3)
  })

  test('says how long the vault may be asked: less and less, and then not at all', async () => {
    const { budget, taken } = createLending(400).open()
    await taken(1)
    const answer = budget.take(1, nowMs(), 1)
    const leftMs = answer.granted ? (answer.leftMs ?? (() => NaN)) : () => NaN
    expect(leftMs()).toBeGreaterThan(14_900)
    expect(leftMs()).toBeLessThanOrEqual(15_000)
    await pass(15_000)
    expect(leftMs()).toBeLessThanOrEqual(0)
  })

  test('reckons with others who wait', async () => {
    const { open } = createLending(40)
    const [one, other] = [open(), open()]
    for (let i = 0; i < 8; i += 1) await one.taken(5)
    for (const { budget } of [one, other]) budget.take(1, nowMs(), 30)
    await pass(600)
    for (const { budget } of [one, other]) budget.take(1, nowMs(), 30)
    await pass(600)

    // Thirty of its own and thirty of the other's are more than one window.
    expect(other.budget.waitMs(30, nowMs())).toBeGreaterThan(15_000)
    expect(other.budget.waitMs(10, nowMs())).toBeLessThan(12_000)
  })

  test('is asked for more than it can ever hold by mistake alone', () => {
    const { budget } = createLending(7).open()
    expect(() => budget.take(8, nowMs(), 8)).toThrow(RangeError)
  })
})

describe('while the lender does not answer', () => {
  test('what is at hand is given out, then nothing, and it says so', async () => {
    const { budget, taken, setAway, outcomes } = createLending(400).open()
    await taken(1)
    setAway(true)
    for (let i = 0; i < 7; i += 1) budget.take(1, nowMs(), 1)
    expect(budget.take(1, nowMs(), 1)).toMatchObject({ granted: false })
    await pass(100)

    expect(budget.isAway).toBe(true)
    expect(outcomes.at(-1)).toBeInstanceOf(DatabaseAccessError)
    expect(budget.waitMs(1, nowMs())).toBeGreaterThan(100)
    expect(budget.waitMs(1, nowMs())).toBeLessThan(1000)
  })

  test('it is asked again and again, and told in the end what it has missed', async () => {
    const { open, lender } = createLending(400)
    const { budget, taken, setAway } = open()
    await taken(1)
    setAway(true)
    budget.asked(1, nowMs())
    budget.charge(5, nowMs())
    await pass(5000)
    expect((await lender.trade(nothing)).free).toBe(392)
    setAway(false)
    await pass(1000)

    expect((await lender.trade(nothing)).free).toBe(394)
    expect(budget.isAway).toBe(false)
    await taken(1)
  })

  test('closing waits for nobody', async () => {
    const { budget, taken, setAway } = createLending(400).open()
    await taken(1)
    setAway(true)
    await budget.close()
  })
})

describe('closing', () => {
  test('gives everything back that was not used', async () => {
    const { open, lender } = createLending(400)
    const { budget, taken } = open()
    await taken(1, 30)
    budget.asked(1, nowMs())
    await budget.close()

    expect((await lender.trade(nothing)).free).toBe(399)
  })
})
