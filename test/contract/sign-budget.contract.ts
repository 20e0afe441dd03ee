import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { SignBudget } from '../../src/signer/sign-budget.ts'

/** A budget of 40 units in the hands of one who asks, and its time. */
export interface BudgetInHand {
  readonly budget: SignBudget
  nowMs(): number
  pass(ms: number): Promise<void>
  remove(): void
}

/** What every budget promises a governor, wherever it has its units from. */
export function describeSignBudget(name: string, create: () => BudgetInHand): void {
  describe(name, () => {
    let hand: BudgetInHand
    let budget: SignBudget
    beforeEach(() => {
      hand = create()
      ;({ budget } = hand)
    })
    afterEach(() => {
      hand.remove()
    })

    /** Asks for a second: units may have to be fetched. */
    const take = async (units: number, waiting = units): Promise<boolean> => {
      for (let i = 0; i < 20; i += 1) {
        if (budget.take(units, hand.nowMs(), waiting).granted) return true
        await hand.pass(50)
      }
      return false
    }
    const takeAll = async () => {
      for (let i = 0; i < 10; i += 1) expect(await take(4, 40)).toBe(true)
    }

    test('gives all of itself, and nothing more', async () => {
      await takeAll()
      expect(await take(1)).toBe(false)
      expect(budget.used(hand.nowMs())).toBe(40)
    })

    test('says how long to wait, and has it then, if nobody else comes', async () => {
      await takeAll()
      budget.asked(40, hand.nowMs())
      await hand.pass(500)
      const waitMs = budget.waitMs(1, hand.nowMs())
      expect(waitMs).toBeGreaterThan(8_000)
      expect(waitMs).toBeLessThan(11_000)
      await hand.pass(waitMs)
      expect(await take(1)).toBe(true)
    })

    test('counts from the answer, not from the permit', async () => {
      await takeAll()
      await hand.pass(5_000)
      budget.asked(40, hand.nowMs())
      await hand.pass(8_900)
      expect(await take(1)).toBe(false)
      await hand.pass(500)
      expect(await take(1)).toBe(true)
    })

    test('does not forget what is under way', async () => {
      await takeAll()
      await hand.pass(12_000)
      expect(await take(1)).toBe(false)
    })

    test('has back what was not asked, and does not count it', async () => {
      await takeAll()
      budget.giveBack(40)
      expect(budget.used(hand.nowMs())).toBe(0)
      expect(await take(1)).toBe(true)
    })

    test('counts what was asked without leave, even past its end', async () => {
      await takeAll()
      budget.charge(2, hand.nowMs())
      budget.asked(40, hand.nowMs())
      expect(budget.used(hand.nowMs())).toBe(42)
      await hand.pass(10_500)
      expect(budget.used(hand.nowMs())).toBe(0)
      await takeAll()
    })

    test('has nothing to wait for once it has the units', async () => {
      expect(await take(4, 5)).toBe(true)
      expect(budget.waitMs(1, hand.nowMs())).toBe(0)
      expect(budget.waitMs(41, hand.nowMs())).toBeGreaterThan(9_000)
    })

    test('is asked for more than it can ever hold by mistake alone', () => {
      expect(() => budget.take(41, hand.nowMs())).toThrow(RangeError)
    })
  })
}
