import { fc } from '../support/drawn-cases.ts'
import { describe, expect, test } from 'vitest'
import type { GrantName } from '../../src/base/ids.ts'
import type { Ask, CallerFacts } from '../../src/policy/decision.ts'
import { compileGrants } from '../../src/policy/compile-grants.ts'
import { explain, type ExplainedAsk } from '../../src/policy/explain.ts'
import { createMemoryGrantBudget, type GrantBudget } from '../../src/policy/grant-budget.ts'
import type { GrantFile } from '../../src/policy/grant-folder.ts'
import { decide, mayRevoke, type Policy } from '../../src/policy/policy.ts'
import {
  ask,
  askers,
  callers,
  claimNames,
  fileOf,
  grants,
  holdsOf,
  matching,
  now,
  overlappingGrants,
  surroundings,
  type Written,
  written,
} from '../support/drawn-grants.ts'
import { fixedClock } from '../support/fixed-clock.ts'
import { grantName, issuerName } from '../support/grants.ts'

function policyOf(all: readonly Written[]): Policy {
  const { policy, problems } = compileGrants(all.map(fileOf), surroundings, now)
  expect(problems.filter(({ severity }) => severity === 'error')).toEqual([])
  return policy
}

const decision = (policy: Policy, from: CallerFacts, want: Ask) =>
  decide(policy, { subject: 'any', ...from }, want, now, createMemoryGrantBudget(fixedClock(now)))

const withoutEach = <Value>(values: readonly Value[]): readonly (readonly Value[])[] =>
  values.length < 2 ? [] : values.map((_, index) => values.toSpliced(index, 1))

/** Everything that one step of mending takes away: a file, an item, a value of a list. */
function narrowings(all: readonly Written[]): readonly (readonly Written[])[] {
  return all.flatMap((grant, index) => [
    all.toSpliced(index, 1),
    ...narrower(grant).map((one) => all.toSpliced(index, 1, one)),
  ])
}

/** Grants, and somebody who asks for something. */
const asked = overlappingGrants.chain((all) =>
  askers(all).map(({ caller, want }) => ({ all, from: caller, want })),
)

const sixOf = <Value>(value: fc.Arbitrary<Value>) => fc.array(value, { minLength: 6, maxLength: 6 })

/** Grants for the same callers, with and without tokens of a day, some of them limited; and one of those callers. */
const sameCallers = fc
  .tuple(grants, sixOf(fc.boolean()), sixOf(fc.boolean()))
  .map(([drawn, days, limits]) =>
    drawn.map((grant, index) => ({
      ...grant,
      caller: drawn[0]?.caller ?? grant.caller,
      longLived: days[index] === true,
      ...(limits[index] === true ? { limits: { perMinute: 5 } } : {}),
    })),
  )
  .chain((all) => askers(all).map(({ caller, want }) => ({ all, from: caller, want })))

const names = ['a', 'b', 'c', 'd', 'e', 'f'].map(grantName)

/** Those that are limited have none left where they are named. */
const budgetWithout = (spent: readonly GrantName[]): GrantBudget => ({
  take: (grant) => (spent.includes(grant) ? { ok: false, retryAfterSeconds: 1 } : { ok: true }),
})
function narrower(grant: Written): readonly Written[] {
  const { caller, may } = grant
  return [
    ...(grant.revokes === true ? [{ ...grant, revokes: false }] : []),
    ...withoutEach(may).map((left) => ({ ...grant, may: left })),
    ...may.flatMap((item, at) =>
      withoutEach(item.scopes ?? []).map((scopes) => ({
        ...grant,
        may: may.toSpliced(at, 1, { ...item, scopes }),
      })),
    ),
    ...Object.entries(caller.claims).flatMap(([claim, value]) =>
      withoutEach(Array.isArray(value) ? (value as unknown[]) : []).map((left) => ({
        ...grant,
        caller: { ...caller, claims: { ...caller.claims, [claim]: left } },
      })),
    ),
  ]
}

describe('widening', () => {
  test('taking away a file, an item or a value of a list never allows anything new', () => {
    const met = { kept: 0, lost: 0, keptRevoking: 0, lostRevoking: 0 }
    fc.assert(
      fc.property(asked, fc.nat(), ({ all, from, want }, pick) => {
        const fewer = narrowings(all)
        const [before, after] = [policyOf(all), policyOf(fewer[pick % fewer.length] ?? [])]
        const [had, has] = [before, after].map((one) => decision(one, from, want).ok)
        if (has === true) expect(had).toBe(true)
        if (had === true) met[has === true ? 'kept' : 'lost'] += 1
        const [could, can] = [before, after].map((one) => mayRevoke(one, from, now).ok)
        if (can === true) expect(could).toBe(true)
        if (could === true) met[can === true ? 'keptRevoking' : 'lostRevoking'] += 1
      }),
      { numRuns: 1000 },
    )
    expect(Math.min(...Object.values(met))).toBeGreaterThan(5)
  })

  test('nor tokens that live longer, whatever budget is left', () => {
    let kept = 0
    fc.assert(
      fc.property(sameCallers, fc.subarray(names), ({ all, from, want }, spent) => {
        const left = budgetWithout(spent)
        const isLong = (some: readonly Written[]) => {
          const found = decide(policyOf(some), { subject: 'any', ...from }, want, now, left)
          return found.ok && found.longLived === true
        }
        if (isLong(all)) return
        kept += all.some(({ longLived }) => longLived) ? 1 : 0
        for (const fewer of narrowings(all)) expect(isLong(fewer)).toBe(false)
      }),
      { numRuns: 300 },
    )
    expect(kept).toBeGreaterThan(15)
  })

  test('adding a grant never makes tokens live shorter', () => {
    let long = 0
    fc.assert(
      fc.property(sameCallers, written('0'), ({ all, from, want }, drawn) => {
        const [first] = all
        const added = {
          ...drawn,
          caller: first?.caller ?? drawn.caller,
          may: first?.may ?? drawn.may,
        }
        const isLong = (some: readonly Written[]) => {
          const found = decision(policyOf(some), from, want)
          return found.ok && found.longLived === true
        }
        if (!isLong(all)) return
        long += 1
        expect(isLong([...all, added])).toBe(true)
      }),
      { numRuns: 1000 },
    )
    expect(long).toBeGreaterThan(50)
  })

  test('adding a grant never takes anything away', () => {
    let allowed = 0
    fc.assert(
      fc.property(asked, written('added'), ({ all, from, want }, added) => {
        if (!decision(policyOf(all), from, want).ok) return
        allowed += 1
        expect(decision(policyOf([...all, added]), from, want).ok).toBe(true)
      }),
      { numRuns: 1000 },
    )
    expect(allowed).toBeGreaterThan(10)
  })
})

describe('dry-run', () => {
  test('decides as if its grants were not there, and names those that would have decided otherwise', () => {
    let tried = 0
    fc.assert(
      fc.property(asked, ({ all, from, want }) => {
        const { dryRun = [], ...decided } = decision(policyOf(all), from, want)
        const enforced = all.filter(({ mode }) => mode === 'enforced')
        expect(decided.ok).toBe(decision(policyOf(enforced), from, want).ok)
        if (decided.ok) expect(decided).toEqual(decision(policyOf(enforced), from, want))
        for (const one of all.filter(({ mode }) => mode === 'dry-run')) {
          const alone = policyOf([{ ...one, mode: 'enforced' }])
          const would = decision(alone, from, want).ok
          tried += would ? 1 : 0
          expect((dryRun as readonly string[]).includes(one.grant)).toBe(would)
        }
      }),
      { numRuns: 1000 },
    )
    expect(tried).toBeGreaterThan(5)
  })
})

describe('order', () => {
  test('of files, items, claims and values decides nothing', () => {
    let several = 0
    fc.assert(
      fc.property(asked, ({ all, from, want }) => {
        const turned = all.toReversed().map((grant) => ({
          ...grant,
          caller: {
            ...grant.caller,
            claims: Object.fromEntries(
              Object.entries(grant.caller.claims)
                .toReversed()
                .map(([claim, value]) => [
                  claim,
                  Array.isArray(value) ? value.toReversed() : value,
                ]),
            ),
          },
          may: grant.may.toReversed(),
        }))
        expect(decision(policyOf(turned), from, want)).toEqual(decision(policyOf(all), from, want))
        const giving = all.filter((one) => decision(policyOf([one]), from, want).ok)
        several += giving.length > 1 ? 1 : 0
      }),
      { numRuns: 500 },
    )
    // Where one alone gives something, any order has it.
    expect(several).toBeGreaterThan(10)
  })
})

describe('an explanation', () => {
  test('never says anything else than what is decided', () => {
    const said = { granted: 0, missing: 0, tooLong: 0, stranger: 0 }
    fc.assert(
      fc.property(asked, ({ all, from, want }) => {
        const policy = policyOf(all)
        const decided = decision(policy, from, want)
        const findings = explain(policy, from, want, now)
        const kinds = findings.map(({ finding }) => finding.kind)
        const nearest = kinds[0]
        if (decided.ok) {
          said.granted += 1
          const giving = findings.filter(({ finding }) => finding.kind === 'gives')
          expect(giving.map((one) => one.grant)[0]).toBe(decided.grant)
          return
        }
        expect(kinds).not.toContain('gives')
        if (decided.refusal.reason === 'lifetime_too_long') {
          said.tooLong += 1
          expect(kinds.filter((kind) => kind !== 'dry-run')[0]).toBe('lifetime')
        } else if (decided.refusal.reason === 'grant_missing') {
          said.missing += 1
          expect(['application', 'scope', 'tenant', 'lifetime', 'dry-run']).toContain(nearest)
        } else {
          said.stranger += 1
          expect(kinds.filter((kind) => kind !== 'claim')).toEqual([])
        }
      }),
      { numRuns: 2000 },
    )
    expect(Math.min(...Object.values(said))).toBeGreaterThan(0)
  })
})

describe('an explanation of who may revoke', () => {
  test('never says anything else than what is decided', () => {
    const said = { granted: 0, missing: 0, stranger: 0 }
    const revocation: ExplainedAsk = { want: 'revocation' }
    fc.assert(
      fc.property(
        grants.chain((all) => fc.tuple(fc.constant(all), callers(all))),
        ([all, from]) => {
          const policy = policyOf(all)
          const decided = mayRevoke(policy, from, now)
          const findings = explain(policy, from, revocation, now)
          const kinds = findings.map(({ finding }) => finding.kind)
          if (decided.ok) {
            said.granted += 1
            expect(findings[0]).toEqual({ grant: decided.grant, finding: { kind: 'gives' } })
            return
          }
          expect(kinds).not.toContain('gives')
          if (decided.refusal.reason === 'caller_not_named') {
            said.stranger += 1
            expect(kinds.filter((kind) => kind !== 'claim')).toEqual([])
          } else {
            said.missing += 1
            expect(['revocation', 'dry-run']).toContain(kinds[0])
          }
        },
      ),
      { numRuns: 2000 },
    )
    expect(Math.min(...Object.values(said))).toBeGreaterThan(0)
  })
})

describe('the index', () => {
  test('finds exactly the grants that looking at each of them would find', () => {
    fc.assert(
      fc.property(
        grants.chain((all) => fc.tuple(fc.constant(all), callers(all))),
        ([all, from]) => {
          const named = policyOf(all).index.naming(from)
          const byHand = all.filter(({ caller: { issuer, claims } }) => {
            const holds = Object.entries(claims).every(([claim, value]) => {
              const values: readonly unknown[] = Array.isArray(value) ? value : [value]
              return (
                Object.hasOwn(from.claims, claim) &&
                values.some((one) => holdsOf(one, from.claims[claim]))
              )
            })
            return issuer === from.issuer && holds
          })
          expect(named.map(({ name }) => name)).toEqual(byHand.map(({ grant }) => grant))
        },
      ),
      { numRuns: 300 },
    )
  })
})

describe('claims of any shape', () => {
  const anyClaims = fc.oneof(
    fc.dictionary(
      fc.oneof(fc.constantFrom(...claimNames, '__proto__', 'hasOwnProperty'), fc.string()),
      fc.jsonValue(),
    ),
    fc
      .jsonValue()
      .filter((value) => typeof value === 'object' && value !== null && !Array.isArray(value)),
  )

  test('never make a decision throw, as a parser gives them', () => {
    fc.assert(
      fc.property(grants, anyClaims, ask, (all, drawn, want) => {
        const claims = JSON.parse(JSON.stringify(drawn)) as Record<string, unknown>
        const found = decision(policyOf(all), { issuer: issuerName('cluster'), claims }, want)
        expect(typeof found.ok).toBe('boolean')
      }),
      { numRuns: 200 },
    )
  })

  test('never match when one that a grant names is absent, of another type, or a list', () => {
    fc.assert(
      fc.property(
        written('a'),
        fc.constantFrom<(value: unknown) => unknown>(
          () => undefined,
          () => null,
          (value) => [value],
          (value) => ({ value }),
          (value) => (typeof value === 'string' ? Number(value) : String(value)),
        ),
        fc.nat(),
        ask,
        (grant, change, pick, want) => {
          const from = matching(grant)
          expect(policyOf([grant]).index.naming(from)).toHaveLength(1)
          const names = Object.keys(from.claims)
          const claim = names[pick % names.length] ?? ''
          const changed = change(from.claims[claim])
          const accepted = grant.caller.claims[claim]
          const matchers: readonly unknown[] = Array.isArray(accepted) ? accepted : [accepted]
          fc.pre(!matchers.some((one) => holdsOf(one, changed)))
          const others = Object.entries(from.claims).filter(([name]) => name !== claim)
          const claims = Object.fromEntries(
            changed === undefined ? others : [...others, [claim, changed]],
          )
          const found = decision(policyOf([grant]), { ...from, claims }, want)
          expect(found).toEqual({ ok: false, refusal: { reason: 'caller_not_named' } })
        },
      ),
      { numRuns: 300 },
    )
  })
})

describe('files of any text', () => {
  test('never make compiling throw, and never grant anything beside what is sound', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string({ unit: 'binary' }),
          fc.string({ unit: fc.constantFrom(...'{}[]:-,&*!|>#? \t\n"ab_~'.split('')) }),
          fc.json(),
        ),
        written('a'),
        (text, sound) => {
          const files: GrantFile[] = [{ file: 'grants/z.yaml', ok: true, text }, fileOf(sound)]
          const { policy, problems, broken } = compileGrants(files, surroundings, now)
          expect(policy.grants.map(({ name }) => name)).toEqual(['a'])
          expect(broken).toBe(1)
          expect(problems.every(({ line }) => line >= 1)).toBe(true)
        },
      ),
      { numRuns: 500 },
    )
  })
})
