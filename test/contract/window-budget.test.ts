import { createWindowBudget } from '../../src/signer/sign-budget.ts'
import { describeSignBudget } from './sign-budget.contract.ts'

describeSignBudget('a budget of one process', () => {
  let nowMs = 1000
  return {
    budget: createWindowBudget(40),
    nowMs: () => nowMs,
    pass: (ms) => {
      nowMs += ms
      return Promise.resolve()
    },
    remove: () => undefined,
  }
})
