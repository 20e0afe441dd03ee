import { createMemoryTokenUses } from '../../src/token-use/memory-token-uses.ts'
import { fixedClock } from '../support/fixed-clock.ts'
import { describeTokenUses, tokensMax } from './token-uses.contract.ts'

describeTokenUses('uses in memory', () => {
  const clock = fixedClock(1_790_000_000)
  return {
    nowSeconds: () => clock.nowSeconds(),
    open: () => Promise.resolve(createMemoryTokenUses({ clock, tokensMax })),
    openAgain: undefined,
    pass: (seconds) => {
      clock.advance(seconds)
    },
    remove: () => Promise.resolve(),
  }
})
