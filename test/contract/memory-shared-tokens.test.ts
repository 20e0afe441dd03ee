import { fixedClock } from '../support/fixed-clock.ts'
import { createMemorySharedTokens } from '../support/memory-shared-tokens.ts'
import { describeSharedTokens } from './shared-tokens.contract.ts'

describeSharedTokens('shared tokens in memory', () => {
  const clock = fixedClock(1_790_000_000)
  const leaseMs = 8000
  const store = createMemorySharedTokens({ clock, leaseMs })
  return {
    open: () => Promise.resolve(store),
    pass: (ms) => {
      clock.advance(ms / 1000)
      return Promise.resolve()
    },
    leaseMs,
    remove: () => Promise.resolve(),
  }
})
