import { expect, test } from 'vitest'
import { allFaults, allPairs } from '../support/torture/fault-schedule.ts'
import { surviveFaults } from '../support/torture/faults.ts'

/** `npm run torture` does the same with other seeds. */
test('whatever goes wrong together, every failure is told and recorded, and only a rogue is unexplained', async () => {
  const tally = await surviveFaults({ seed: 1 })
  expect([...tally.struck].toSorted()).toEqual(allFaults.toSorted())
  // A pair meets if neither fault keeps the other from striking in time.
  expect(tally.pairsMet).toBeGreaterThan(0.8 * allPairs.size)
  expect(tally.issued).toBeGreaterThan(100)
  expect(tally.declined).toBeGreaterThan(100)
}, 240_000)
