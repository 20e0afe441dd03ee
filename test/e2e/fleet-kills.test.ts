import { expect, test } from 'vitest'
import { surviveFleetKills } from '../support/torture/fleet-kills.ts'

/** `npm run torture` does the same with 500 events and other seeds, and prints how long recovery takes. */
test('whatever dies or is cut off, replicas keep one chain, account for every signature and serve again', async () => {
  const tally = await surviveFleetKills({ seed: 12, kills: 20 })
  // The events met what they were meant to meet: everything broke, amid clients and signatures.
  expect(Math.min(...Object.values(tally.broken))).toBeGreaterThan(2)
  expect(tally.issued).toBeGreaterThan(100)
  expect(tally.lost).toBeGreaterThan(50)
  expect(tally.assumed).toBeGreaterThan(0)
  expect(tally.slowestRecoveryMs).toBeGreaterThan(0)
}, 480_000)
