import { lendingTerms } from '../../src/signer/unit-lender.ts'
import { fixedClock } from '../support/fixed-clock.ts'
import { createMemoryUnits } from '../support/memory-unit-lender.ts'
import { describeUnitLender } from './unit-lender.contract.ts'

describeUnitLender('a lender in memory', () => {
  const clock = fixedClock(1_790_000_000)
  const unitsMax = 40
  const units = createMemoryUnits({ unitsMax, terms: lendingTerms, clock })
  return {
    unitsMax,
    terms: lendingTerms,
    open: () => units.open(),
    pass: (ms) => {
      clock.advance(ms / 1000)
      return Promise.resolve()
    },
    remove: () => Promise.resolve(),
  }
})
