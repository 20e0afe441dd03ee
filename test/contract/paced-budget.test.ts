import { createPacedBudget } from '../../src/signer/paced-budget.ts'
import { createWindowBudget } from '../../src/signer/sign-budget.ts'
import { describeSignBudget } from './sign-budget.contract.ts'

describeSignBudget('a budget of one process that may be spent however fast', () => {
  let nowMs = 1000
  return {
    budget: createPacedBudget(createWindowBudget(40), () => Infinity),
    nowMs: () => nowMs,
    pass: (ms) => {
      nowMs += ms
      return Promise.resolve()
    },
    remove: () => undefined,
  }
})
