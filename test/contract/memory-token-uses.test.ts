import { createMemoryTokenUses } from '../../src/token-use/memory-token-uses.ts'
import { fixedClock } from '../support/fixed-clock.ts'
import { describeClockedUses, describeTokenUses, tokensMax } from './token-uses.contract.ts'

const createPlace = () => {
  const clock = fixedClock(1_790_000_000)
  return {
    nowSeconds: () => clock.nowSeconds(),
    open: () => Promise.resolve(createMemoryTokenUses({ clock, tokensMax })),
    pass: (seconds: number) => {
      clock.advance(seconds)
    },
    remove: () => Promise.resolve(),
  }
}

describeTokenUses('uses in memory', createPlace)
describeClockedUses('uses in memory', createPlace)
