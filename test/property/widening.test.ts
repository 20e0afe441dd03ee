import { fc } from '../support/drawn-cases.ts'
import { describe, expect, test } from 'vitest'
import type { Ask, CallerFacts } from '../../src/policy/decision.ts'
import { compileGrants } from '../../src/policy/compile-grants.ts'
import { foresee, mayRevoke, type Policy } from '../../src/policy/policy.ts'
import { grantWidenings, type GrantWidening } from '../../src/policy/widening.ts'
import { isoTimeFrom } from '../../src/base/clock.ts'
import { askers, fileOf, grants, now, surroundings, type Written } from '../support/drawn-grants.ts'

/** Grants with terms, of which any may be absent. */
const terms = fc.record(
  {
    until: fc.constantFrom(now - 10, now + 10, now + 1000).map((at) => isoTimeFrom(at * 1000)),
    limits: fc.oneof(
      fc.record({ perMinute: fc.constantFrom(5, 10, 60) }),
      fc.record({ perCallerPerMinute: fc.constantFrom(2, 10) }),
    ),
    longLived: fc.boolean(),
    isolate: fc.boolean(),
  },
  { requiredKeys: [] },
)
const policies = grants.chain((all) =>
  fc.tuple(...all.map((grant) => terms.map((some) => ({ ...grant, ...some })))),
)

interface Drawn {
  readonly before: readonly Written[]
  readonly after: readonly Written[]
}

/** Now and then a grant stays as it was, as most do in a review. */
const pairs = fc
  .tuple(policies, policies, fc.array(fc.boolean(), { minLength: 6, maxLength: 6 }))
  .map(([before, drawn, kept]): Drawn => {
    const same = before.filter((_, index) => kept[index])
    const others = drawn.filter(({ grant }) => same.every((one) => one.grant !== grant))
    return { before, after: [...same, ...others] }
  })

const policyOf = (all: readonly Written[]): Policy =>
  compileGrants(all.map(fileOf), surroundings, now).policy

const powerOf = (want: Ask) =>
  want.want === 'token'
    ? `token ${want.application} ${want.scope}`
    : `assertion ${want.application}`

const names = (widening: GrantWidening, want: Ask) =>
  widening.powers.some(
    ({ power, tenants, lifetimeSeconds }) =>
      power === powerOf(want) &&
      tenants.includes(want.tenant) &&
      (want.want === 'token' || (want.lifetimeSeconds ?? 0) <= (lifetimeSeconds ?? 0)),
  )

const situations = (drawn: fc.Arbitrary<Drawn>) =>
  drawn.chain(({ before, after }) =>
    fc.record({
      before: fc.constant(policyOf(before)),
      after: fc.constant(policyOf(after)),
      asker: askers(after),
      at: fc.constantFrom(now - 20, now, now + 500, now + 5000),
    }),
  )

/** Of some grants for the same callers, with and without tokens of a day, each may be taken away, or lose or get them. */
const reterms: fc.Arbitrary<Drawn> = fc
  .tuple(grants, fc.array(fc.constantFrom(0, 1, 2), { minLength: 12, maxLength: 12 }))
  .map(([drawn, draw]) => {
    const all = drawn.map((grant) => ({ ...grant, caller: drawn[0]?.caller ?? grant.caller }))
    return { all, draw }
  })
  .map(({ all, draw }) => ({
    before: all.map((grant, index) => ({ ...grant, longLived: draw[index] === 1 })),
    after: all.flatMap((grant, index) => {
      const fate = draw[index + 6]
      return fate === 0 ? [] : [{ ...grant, longLived: (draw[index] === 1) !== (fate === 1) }]
    }),
  }))

const seen = (policy: Policy, caller: CallerFacts, want: Ask, at: number) => {
  const decision = foresee(policy, caller, want, at)
  return decision.ok ? decision : undefined
}

/** @returns How often something was newly given. */
function reportedWhenever(
  drawn: fc.Arbitrary<Drawn>,
  isNewlyGiven: (was: ReturnType<typeof seen>, is: NonNullable<ReturnType<typeof seen>>) => boolean,
  numRuns: number,
): number {
  let met = 0
  fc.assert(
    fc.property(situations(drawn), ({ before, after, asker: { caller, want }, at }) => {
      const [was, is] = [seen(before, caller, want, at), seen(after, caller, want, at)]
      if (is === undefined || !isNewlyGiven(was, is)) return
      met += 1
      const widening = grantWidenings(before, after).find(({ grant }) => grant === is.grant)
      expect(widening?.steps).not.toHaveLength(0)
      expect(widening !== undefined && names(widening, want)).toBe(true)
    }),
    { numRuns },
  )
  return met
}

describe('what is reported of two policies', () => {
  test('names each grant by which somebody gets what they did not get before', () => {
    expect(reportedWhenever(pairs, (was) => was === undefined, 1000)).toBeGreaterThan(50)
  })

  test('names each grant by which somebody gets tokens of a day, and got ordinary ones', () => {
    const isLonger = (was: { readonly longLived?: true } | undefined, is: typeof was) =>
      was?.longLived !== true && is?.longLived === true
    expect(reportedWhenever(reterms, isLonger, 1000)).toBeGreaterThan(20)
  })

  test('names each grant by which somebody may revoke, and could not', () => {
    let met = 0
    fc.assert(
      fc.property(situations(pairs), ({ before, after, asker: { caller }, at }) => {
        const decided = mayRevoke(after, caller, at)
        if (!decided.ok || mayRevoke(before, caller, at).ok) return
        met += 1
        const widening = grantWidenings(before, after).find(({ grant }) => grant === decided.grant)
        expect(widening?.steps).not.toHaveLength(0)
        expect(widening).toBeDefined()
      }),
      { numRuns: 500 },
    )
    expect(met).toBeGreaterThan(10)
  })

  test('is nothing where files were only taken away', () => {
    let fewer = 0
    fc.assert(
      fc.property(
        policies.chain((all) => fc.tuple(fc.constant(all), fc.subarray(all))),
        ([all, some]) => {
          fewer += some.length < all.length ? 1 : 0
          expect(grantWidenings(policyOf(all), policyOf(some))).toEqual([])
        },
      ),
      { numRuns: 300 },
    )
    expect(fewer).toBeGreaterThan(100)
  })

  test('is nothing where a value, a scope or a tenant was taken out, or a claim was added', () => {
    let narrower = 0
    fc.assert(
      fc.property(policies, (all) => {
        const less = all.map((grant) => ({
          ...grant,
          caller: { ...grant.caller, claims: narrowed(grant.caller.claims) },
          may: grant.may.slice(-1),
        }))
        narrower += JSON.stringify(less) === JSON.stringify(all) ? 0 : 1
        expect(grantWidenings(policyOf(all), policyOf(less))).toEqual([])
      }),
      { numRuns: 300 },
    )
    expect(narrower).toBeGreaterThan(100)
  })
})

const narrowed = (claims: Record<string, unknown>) => ({
  ...Object.fromEntries(
    Object.entries(claims).map(([claim, value]) => [
      claim,
      Array.isArray(value) ? (value.slice(0, 1) as unknown[]) : value,
    ]),
  ),
  'added-claim': 'always',
})
