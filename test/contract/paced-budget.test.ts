import { describe } from 'vitest'
import { createPacedBudget } from '../../src/signer/paced-budget.ts'
import { createWindowBudget } from '../../src/signer/sign-budget.ts'
import { steadyPace } from '../support/steady-pace.ts'
import { describeSignBudget } from './sign-budget.contract.ts'

describe.each([
  ['however fast', Infinity],
  ['at a pace that holds up nobody', 1],
])('a budget of one process that may be spent %s', (_, unitsPerMs) => {
  describeSignBudget('keeps its promises', () => {
    let nowMs = 1000
    return {
      budget: createPacedBudget(
        createWindowBudget(40),
        steadyPace(() => unitsPerMs),
      ),
      nowMs: () => nowMs,
      pass: (ms) => {
        nowMs += ms
        return Promise.resolve()
      },
      remove: () => undefined,
    }
  })
})
