import type { UnitsPace } from '../../src/signer/paced-budget.ts'

/** One that reckons with no change, whether there is one or not. */
export const steadyPace = (unitsPerMs: () => number): UnitsPace => ({
  unitsPerMs,
  waitMs: (units) => units / unitsPerMs(),
})
