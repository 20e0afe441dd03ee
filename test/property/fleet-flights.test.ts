import { setTimeout as delay } from 'node:timers/promises'
import { fc } from '../support/drawn-cases.ts'
import { expect, test } from 'vitest'
import type { CachedToken } from '../../src/token-cache/token-cache.ts'
import { tokenKey } from '../support/cached-tokens.ts'
import { createFleet } from '../support/fleet.ts'
import { grantName } from '../support/grants.ts'

const wanted = {
  key: tokenKey(),
  grant: grantName('orders'),
  keyId: 'own',
  forced: false,
  accepts: () => true,
}

/** What becomes of the replica that leads: `hangs` renews nothing and never ends, as one that was killed. */
const fates = ['obtains', 'hangs', 'fails'] as const
type Fate = (typeof fates)[number]

/** The n-th flight of the fleet has the n-th fate; what follows those that are given obtains. */
async function fly(replicas: number, given: readonly Fate[]) {
  const fleet = createFleet()
  const hung = new Set<string>()
  let flights = 0
  const ask = async () => {
    const { flights: own } = fleet.replica({
      store: {
        ...fleet.store,
        renew: (lease) =>
          hung.has(lease.id) ? new Promise(() => undefined) : fleet.store.renew(lease),
        lead: async (key) => {
          const lease = await fleet.store.lead(key)
          if (lease !== undefined && given[flights] === 'hangs') hung.add(lease.id)
          return lease
        },
      },
    })
    return own.obtain(wanted, (): Promise<CachedToken> => {
      const fate = given[flights] ?? 'obtains'
      flights += 1
      if (fate === 'obtains') return Promise.resolve(fleet.obtained(wanted.key))
      return fate === 'fails' ? Promise.reject(new Error('untold')) : new Promise(() => undefined)
    })
  }
  const outcomes: string[] = []
  const askOnce = async () => {
    outcomes.push(
      await ask().then(
        ({ value }) => value.reveal(),
        () => 'failed',
      ),
    )
  }
  for (let i = 0; i < replicas; i += 1) void askOnce()
  const hangs = () => given.slice(0, flights).filter((fate) => fate === 'hangs').length
  while (outcomes.length + hangs() < replicas) {
    await delay(5)
    fleet.clock.advance(2)
  }
  return { outcomes, flights }
}

test('a token costs one flight, and one more for each leader that fails or is lost', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 5 }),
      fc.array(fc.constantFrom(...fates), { maxLength: 4 }),
      async (replicas, given) => {
        const { outcomes, flights } = await fly(replicas, given)
        const first = given.findIndex((fate) => fate === 'obtains')
        const disrupted = first === -1 ? given.length : first
        // Each disruption takes its replica with it.
        expect(flights).toBe(Math.min(disrupted + 1, replicas))
        const tokens = outcomes.filter((outcome) => outcome !== 'failed')
        expect(new Set(tokens).size).toBe(disrupted < replicas ? 1 : 0)
        expect(tokens).toHaveLength(Math.max(0, replicas - disrupted))
      },
    ),
    { numRuns: 40 },
  )
})
