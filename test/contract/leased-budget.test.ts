import { vi } from 'vitest'
import { systemClock } from '../../src/base/clock.ts'
import { createLeasedBudget } from '../../src/signer/leased-budget.ts'
import { lendingTerms } from '../../src/signer/unit-lender.ts'
import { createMemoryUnits } from '../support/memory-unit-lender.ts'
import { describeSignBudget } from './sign-budget.contract.ts'

describeSignBudget('a budget of leased units', () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date', 'performance'] })
  const units = createMemoryUnits({ unitsMax: 40, terms: lendingTerms, clock: systemClock })
  return {
    budget: createLeasedBudget({
      unitsMax: 40,
      lender: units.open(),
      terms: lendingTerms,
      clock: systemClock,
      whenTraded: () => undefined,
      onTrade: () => undefined,
    }),
    nowMs: () => Math.floor(systemClock.monotonicMs()),
    pass: async (ms) => {
      await vi.advanceTimersByTimeAsync(ms)
    },
    remove: () => {
      vi.useRealTimers()
    },
  }
})
