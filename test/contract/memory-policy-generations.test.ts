import { createMemoryPolicyGenerations } from '../support/memory-policy-generations.ts'
import { describePolicyGenerations } from './policy-generations.contract.ts'

describePolicyGenerations('generations in memory', (kept) => {
  const store = createMemoryPolicyGenerations(kept)
  return { open: () => Promise.resolve(store), remove: () => Promise.resolve() }
})
