import { expect, test } from 'vitest'
import { surviveKills } from '../support/torture/kills.ts'

/** `npm run torture` does the same with 200 kills and other seeds. */
test('killed at any instant, the service loses no entry and leaves no signature unexplained', async () => {
  const tally = await surviveKills({ seed: 1, kills: 20 })
  // The kills met what they were meant to meet: clients in the middle, and signatures under way.
  expect(tally.issued).toBeGreaterThan(100)
  expect(tally.lost).toBeGreaterThan(50)
  expect(tally.assumed).toBeGreaterThan(0)
  expect(tally.refreshes).toBeGreaterThan(0)
}, 240_000)
