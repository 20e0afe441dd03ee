import { fc } from '../support/drawn-cases.ts'
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

/** Of one certificate each, though the file may write its name in another way. */
const places = ['https://a.example/one', 'https://a.example/ONE', 'https://a.example/one-more']

const drawnPlace = fc.constantFrom(...places, 'https://b.example/one').map((text) => {
  const { origin: vault, pathname } = new URL(text)
  return { vault, nameInVault: pathname.slice(1) }
})

const drawnConfig = fc
  .record({
    applications: fc
      .array(
        fc.record({
          name: fc.constantFrom(events, deploy),
          clientId: fc.constantFrom('one', 'two'),
          certificate: fc.constantFrom('first', 'second'),
          tenants: fc.subarray([northwind, fabrikam]),
        }),
      )
      .map((all) => [...new Map(all.map((one) => [one.name, one])).values()]),
    certificates: fc.tuple(
      ...['first', 'second'].map((name) =>
        fc
          .tuple(drawnPlace, fc.option(drawnPlace, { nil: undefined }))
          .map(([primary, standby]) => ({ name, ...primary, standby })),
      ),
    ),
  })
  // Nothing else of a configuration is looked at.
  .map((drawn) => drawn as unknown as Config)

/** A version of a key at some place, none of which the configuration names. */
const drawnKeyId = drawnPlace.map(
  ({ vault, nameInVault }) => `${vault}/keys/${nameInVault}/${'7'.repeat(32)}`,
)

const placesOf = ({ certificates }: Config, certificate: string) =>
  certificates
    .filter(({ name }) => name === certificate)
    .flatMap(({ standby, ...primary }) => [primary, ...(standby === undefined ? [] : [standby])])
    .map(({ vault, nameInVault }) => `${vault} ${nameInVault.toLowerCase()}`)

const placeOf = (keyId: string) => {
  const { origin, pathname } = new URL(keyId)
  return `${origin} ${pathname.split('/')[2]?.toLowerCase() ?? ''}`
}

test('what was held of a tenant, client or certificate that is gone has ended, and nothing else has', () => {
  const seen = new Set<string>()
  fc.assert(
    fc.property(drawnConfig, drawnConfig, drawnKeyId, (before, after, keyId) => {
      const endedBy = endedBetween(before, after)
      for (const application of [events, deploy]) {
        for (const tenant of [northwind, fabrikam]) {
          const holder = (config: Config) => {
            const found = config.applications.find(
              ({ name, tenants }) => name === application && tenants.includes(tenant),
            )
            const has = found && placesOf(config, found.certificate).includes(placeOf(keyId))
            return { ...found, has }
          }
          const [was, is] = [holder(before), holder(after)]
          const right = was.name !== undefined && was.clientId !== is.clientId ? 'right' : undefined
          const withKey = right ?? (was.has === true && is.has === false ? 'key' : undefined)
          expect(endedBy({ application, tenant, keyId: undefined })).toBe(right)
          expect(endedBy({ application, tenant, keyId })).toBe(withKey)
          seen.add(withKey ?? 'goes on')
        }
      }
    }),
  )
  expect([...seen].toSorted()).toEqual(['goes on', 'key', 'right'])
})
