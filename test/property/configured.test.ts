import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Config } from '../../src/config/config.ts'
import { endedBetween } from '../../src/configured.ts'
import { compileGrants } from '../../src/policy/compile-grants.ts'
import type { GrantSurroundings } from '../../src/policy/grant-checks.ts'
import { foresee } from '../../src/policy/policy.ts'
import { askers, fileOf, grants, now, surroundings } from '../support/drawn-grants.ts'
import { deploy, events, fabrikam, northwind } from '../support/grants.ts'

/** All of them, or all but one. */
const mostOf = <Part>(parts: readonly Part[]) =>
  fc.subarray([...parts], { minLength: parts.length - 1 })

/** What is left of the surroundings when some of them are taken away. */
const fewerSurroundings: fc.Arbitrary<GrantSurroundings> = fc
  .record({
    applications: mostOf(surroundings.applications),
    issuers: mostOf(surroundings.issuers),
    tenants: mostOf([...new Set(surroundings.applications.flatMap((one) => one.tenants ?? []))]),
    handOut: fc.boolean(),
  })
  .map(({ applications, issuers, tenants, handOut }) => ({
    ...surroundings,
    issuers,
    applications: applications.map((one) => ({
      ...one,
      handOut,
      tenants: one.tenants?.filter((tenant) => tenants.includes(tenant)),
    })),
  }))

test('whatever grants say, nothing is allowed that the configuration does not have, or had', () => {
  let [allowed, taken] = [0, 0]
  fc.assert(
    fc.property(
      grants.chain((all) => fc.tuple(fc.constant(all), askers(all), fewerSurroundings)),
      ([all, { caller: from, want }, fewer]) => {
        const decided = (by: GrantSurroundings) =>
          foresee(compileGrants(all.map(fileOf), by, now).policy, from, want, now).ok
        const [before, after] = [decided(surroundings), decided(fewer)]
        if (before && !after) taken += 1
        if (!after) return
        allowed += 1
        expect(before).toBe(true)
        const application = fewer.applications.find(({ name }) => name === want.application)
        expect(application?.tenants).toContain(want.tenant)
        expect(want.want === 'token' || application?.handOut).toBe(true)
        expect(fewer.issuers.map(({ name }) => name)).toContain(from.issuer)
      },
    ),
    { numRuns: 500 },
  )
  expect(allowed).toBeGreaterThan(5)
  expect(taken).toBeGreaterThan(5)
})

const drawnApplications = fc
  .array(
    fc.record({
      name: fc.constantFrom(events, deploy),
      clientId: fc.constantFrom('one', 'two'),
      tenants: fc.subarray([northwind, fabrikam]),
    }),
  )
  .map((all) => [...new Map(all.map((one) => [one.name, one])).values()])
  // Nothing else of a configuration is looked at.
  .map((applications) => ({ applications }) as unknown as Config)

test('what was held of a tenant or client that is gone has ended, and nothing else has', () => {
  const ends = new Map<boolean, number>()
  fc.assert(
    fc.property(drawnApplications, drawnApplications, (before, after) => {
      const isEnded = endedBetween(before, after)
      for (const application of [events, deploy]) {
        for (const tenant of [northwind, fabrikam]) {
          const holder = ({ applications }: Config) =>
            applications.find(
              ({ name, tenants }) => name === application && tenants.includes(tenant),
            )
          const [was, is] = [holder(before), holder(after)]
          const ended = was !== undefined && was.clientId !== is?.clientId
          expect(isEnded({ application, tenant })).toBe(ended)
          ends.set(ended, (ends.get(ended) ?? 0) + 1)
        }
      }
    }),
  )
  expect([...ends.keys()].toSorted()).toEqual([false, true])
})
