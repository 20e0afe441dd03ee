import { describe, expect, test } from 'vitest'
import { createMemoryGrantBudget } from '../../../src/policy/grant-budget.ts'
import type { Grant } from '../../../src/policy/grant.ts'
import type { Ask, CallerFacts, TokenAsk } from '../../../src/policy/decision.ts'
import { createPolicy, decide, foresee, stillGiven } from '../../../src/policy/policy.ts'
import { fixedClock } from '../../support/fixed-clock.ts'
import {
  deploy,
  deployAssertion,
  eventHubs,
  events,
  eventHubsToken,
  fabrikam,
  grant,
  grantName,
  graph,
  issuerName,
  northwind,
} from '../../support/grants.ts'

const now = 1_790_000_000
const cluster = issuerName('cluster')
const api = { issuer: cluster, subject: 'api', claims: { sub: 'api' } }
const token: TokenAsk = {
  want: 'token',
  application: events,
  tenant: fabrikam,
  scope: eventHubs,
}
const assertion: Ask = { want: 'assertion', application: deploy, tenant: fabrikam }

const freshBudget = () => createMemoryGrantBudget(fixedClock(now))
const decideBy = (grants: readonly Grant[], caller: CallerFacts, ask: Ask, nowSeconds = now) =>
  decide(createPolicy(grants), { subject: 'api', ...caller }, ask, nowSeconds, freshBudget())

const stranger = { ok: false, refusal: { reason: 'caller_not_named' } }

describe('who is named', () => {
  test('a caller whose claims are those of a grant', () => {
    expect(decideBy([grant('orders')], api, token)).toEqual({ ok: true, grant: 'orders' })
  })

  test.for([
    ['another value', { sub: 'API' }],
    ['no such claim', { subject: 'api' }],
    ['a claim that is null', { sub: null }],
    ['a list that holds the value', { sub: ['api'] }],
    ['an object', { sub: { value: 'api' } }],
    ['nothing at all', {}],
  ] as const)('not a caller with %s', ([, claims]) => {
    const caller = { issuer: cluster, claims: claims as unknown as { sub: string } }
    expect(decideBy([grant('orders')], caller, token)).toEqual(stranger)
  })

  test.for([
    ['1', 1],
    [1, '1'],
    ['true', true],
    [false, 0],
    [0, ''],
  ] as const)('not a caller whose claim is %j of another type than %j', ([claimed, granted]) => {
    const caller = { issuer: cluster, claims: { sub: 'api', level: claimed } }
    const grants = [grant('orders', { claims: { level: granted } })]
    expect(decideBy(grants, caller, token)).toEqual(stranger)
  })

  test('not the same claims from another issuer', () => {
    const caller = { issuer: issuerName('github'), claims: api.claims }
    expect(decideBy([grant('orders')], caller, token)).toEqual(stranger)
  })

  test('not a caller that has only some of the claims', () => {
    const grants = [grant('orders', { claims: { sub: 'api', ref: 'main' } })]
    expect(decideBy(grants, api, token)).toEqual(stranger)
  })

  test('a caller with any one of the values of a list, and not with another', () => {
    const grants = [grant('orders', { claims: { sub: ['api', 'worker'] } })]
    expect(decideBy(grants, { ...api, claims: { sub: 'worker' } }, token).ok).toBe(true)
    expect(decideBy(grants, { ...api, claims: { sub: 'cron' } }, token)).toEqual(stranger)
  })

  test.for(['constructor', 'toString', '__proto__', 'hasOwnProperty'])(
    'not by %s, which every object inherits',
    (claim) => {
      const grants = [grant('orders', { claims: { [claim]: 'x' } })]
      expect(decideBy(grants, api, token)).toEqual(stranger)
    },
  )

  test('nobody by an empty policy', () => {
    expect(decideBy([], api, token)).toEqual(stranger)
  })
})

describe('what is allowed', () => {
  test.for<readonly [string, Ask]>([
    ['another scope', { ...token, scope: graph }],
    ['another tenant', { ...token, tenant: northwind }],
    ['another application', { ...token, application: deploy }],
    ['an assertion instead of a token', { ...assertion, application: events }],
  ])('not %s than the grant says, and the refusal says who is named', ([, ask]) => {
    expect(decideBy([grant('orders'), grant('backup')], api, ask)).toEqual({
      ok: false,
      refusal: { reason: 'grant_missing', namedBy: ['backup', 'orders'] },
    })
  })

  test('not a token where only an assertion is granted', () => {
    const grants = [grant('ship', { may: [deployAssertion()] })]
    expect(decideBy(grants, api, { ...token, application: deploy })).toMatchObject({ ok: false })
  })

  test('what any of several grants allows', () => {
    const grants = [
      grant('a', { may: [{ ...eventHubsToken, scopes: [graph] }] }),
      grant('b', { may: [eventHubsToken] }),
    ]
    expect(decideBy(grants, api, token)).toEqual({ ok: true, grant: 'b' })
    expect(decideBy(grants, api, { ...token, scope: graph })).toEqual({ ok: true, grant: 'a' })
  })

  test('nothing from the second on in which a grant has ended', () => {
    const grants = [grant('orders', { untilSeconds: now })]
    expect(decideBy(grants, api, token, now - 1).ok).toBe(true)
    expect(decideBy(grants, api, token, now)).toEqual(stranger)
  })
})

describe('how long an assertion lives', () => {
  const grants = [grant('ship', { may: [deployAssertion(300)] })]

  test('as long as the grant says, when the caller says nothing', () => {
    expect(decideBy(grants, api, assertion)).toEqual({
      ok: true,
      grant: 'ship',
      lifetimeSeconds: 300,
    })
  })

  test('shorter when asked, and never longer than granted', () => {
    expect(decideBy(grants, api, { ...assertion, lifetimeSeconds: 60 })).toMatchObject({
      lifetimeSeconds: 60,
    })
    expect(decideBy(grants, api, { ...assertion, lifetimeSeconds: 301 })).toEqual({
      ok: false,
      refusal: { reason: 'lifetime_too_long', grant: 'ship', maxSeconds: 300 },
    })
  })

  test('as any grant allows that is long enough, whatever a shorter one before it says', () => {
    const both = [grant('a', { may: [deployAssertion(60)] }), ...grants]
    expect(decideBy(both, api, { ...assertion, lifetimeSeconds: 300 })).toEqual({
      ok: true,
      grant: 'ship',
      lifetimeSeconds: 300,
    })
    expect(decideBy(both, api, { ...assertion, lifetimeSeconds: 500 })).toMatchObject({
      refusal: { grant: 'ship', maxSeconds: 300 },
    })
  })

  test('as the longest of the items of one grant', () => {
    const items = [grant('ship', { may: [deployAssertion(60), deployAssertion(600)] })]
    expect(decideBy(items, api, assertion)).toMatchObject({ lifetimeSeconds: 600 })
  })
})

describe('on what terms', () => {
  const both = { longLived: true, isolate: true } as const

  test('those of the grant that is charged', () => {
    const grants = [grant('a', { ...both, perMinute: 1 }), grant('b')]
    const [policy, budget] = [createPolicy(grants), freshBudget()]
    expect(decide(policy, api, token, now, budget)).toEqual({ ok: true, grant: 'a', ...both })
    expect(decide(policy, api, token, now, budget)).toEqual({ ok: true, grant: 'b' })
  })

  test('of which one that gives tokens of a day is charged before others, as long as it has budget left', () => {
    const long = grant('b', { longLived: true, perMinute: 1 })
    const [policy, budget] = [
      createPolicy([grant('a'), long, grant('c', { longLived: true })]),
      freshBudget(),
    ]
    const asked = () => decide(policy, api, token, now, budget)
    expect(asked()).toEqual({ ok: true, grant: 'b', longLived: true })
    expect(asked()).toEqual({ ok: true, grant: 'c', longLived: true })
    const [fewer, left] = [createPolicy([grant('a'), long]), freshBudget()]
    decide(fewer, api, token, now, left)
    expect(decide(fewer, api, token, now, left)).toEqual({ ok: true, grant: 'a' })
  })

  test('by name alone where assertions are asked for', () => {
    const may = [deployAssertion()]
    const both = [grant('b', { longLived: true, may }), grant('a', { may })]
    expect(decideBy(both, api, assertion)).toMatchObject({ grant: 'a' })
  })

  test('which say nothing of assertions', () => {
    const grants = [grant('ship', { ...both, may: [deployAssertion()] })]
    expect(decideBy(grants, api, assertion)).toEqual({
      ok: true,
      grant: 'ship',
      lifetimeSeconds: 300,
    })
  })
})

describe('what is foreseen', () => {
  const policy = createPolicy([grant('orders', { perMinute: 1, isolate: true })])

  test('is what is decided while there is budget left, and charges nothing', () => {
    const budget = freshBudget()
    const foreseen = Array.from({ length: 3 }, () => foresee(policy, api, token, now))
    expect(foreseen).toEqual(Array(3).fill({ ok: true, grant: 'orders', isolate: true }))
    expect(decide(policy, api, token, now, budget)).toEqual(foreseen[0])
    expect(decide(policy, api, token, now, budget).ok).toBe(false)
  })

  test('is a refusal where it would be refused', () => {
    expect(foresee(policy, api, { ...token, tenant: northwind }, now)).toEqual(
      decide(policy, api, { ...token, tenant: northwind }, now, freshBudget()),
    )
  })
})

describe('a grant that gave a token still gives it', () => {
  const given = (grants: readonly Grant[], ask = token, nowSeconds = now) =>
    stillGiven(createPolicy(grants), grantName('orders'), ask, nowSeconds)

  test('on its terms of now, as often as it is asked', () => {
    expect(given([grant('orders')])).toEqual({})
    expect(given([grant('orders', { longLived: true, perMinute: 1 })])).toEqual({ longLived: true })
  })

  test.for<readonly [string, readonly Grant[], typeof token, number]>([
    ['it is gone', [grant('other')], token, now],
    ['it has ended', [grant('orders', { untilSeconds: now })], token, now],
    ['it is about another scope', [grant('orders')], { ...token, scope: graph }, now],
    ['it is about another tenant', [grant('orders')], { ...token, tenant: northwind }, now],
    ['it is about another application', [grant('orders')], { ...token, application: deploy }, now],
  ])('not when %s', ([, grants, ask, nowSeconds]) => {
    expect(given(grants, ask, nowSeconds)).toBeUndefined()
  })
})

describe('how often', () => {
  test('ten assertions a minute and grant, unless the grant says otherwise', () => {
    const policy = createPolicy([grant('ship', { may: [deployAssertion()] })])
    const budget = freshBudget()
    const asked = () => decide(policy, api, assertion, now, budget)
    for (let count = 0; count < 10; count += 1) expect(asked().ok).toBe(true)
    expect(asked()).toEqual({
      ok: false,
      refusal: { reason: 'limit_reached', grant: 'ship', retryAfterSeconds: 61 },
    })
  })

  test('any number of tokens, unless the grant says otherwise', () => {
    const [policy, budget] = [createPolicy([grant('orders')]), freshBudget()]
    for (let count = 0; count < 1000; count += 1) {
      expect(decide(policy, api, token, now, budget).ok).toBe(true)
    }
    const limited = createPolicy([grant('orders', { perMinute: 1 })])
    expect(decide(limited, api, token, now, budget).ok).toBe(true)
    expect(decide(limited, api, token, now, budget).ok).toBe(false)
  })

  test('as the first grant by name that has budget left', () => {
    const policy = createPolicy([
      grant('c', { perMinute: 1 }),
      grant('a', { perMinute: 1 }),
      grant('b', { perMinute: 2 }),
    ])
    const budget = freshBudget()
    const charged = Array.from({ length: 5 }, () => decide(policy, api, token, now, budget))
    expect(charged.map((decision) => decision.ok && decision.grant)).toEqual([
      'a',
      'b',
      'b',
      'c',
      false,
    ])
  })

  test('and a refusal charges nobody', () => {
    const policy = createPolicy([grant('orders', { perMinute: 1 })])
    const budget = freshBudget()
    decide(policy, api, { ...token, scope: graph }, now, budget)
    decide(policy, { ...api, subject: 'other', claims: { sub: 'other' } }, token, now, budget)
    expect(decide(policy, api, token, now, budget).ok).toBe(true)
  })
})

describe('what a decision costs', () => {
  /** Grants that count how often their rules are looked at. */
  function counted(count: number, claims: (index: number) => Record<string, string>) {
    let looks = 0
    const grants = Array.from({ length: count }, (_, index) => {
      const { rules, ...rest } = grant(`g${index}`, { claims: claims(index) })
      return Object.defineProperty({ ...rest, rules }, 'rules', {
        get: () => {
          looks += 1
          return rules
        },
      })
    })
    const policy = createPolicy(grants)
    looks = 0
    return { policy, looks: () => looks }
  }

  test('does not grow with grants that name others by a claim of their own', () => {
    const { policy, looks } = counted(5000, (index) => ({ ref: 'main', repository_id: `${index}` }))
    const caller = { ...api, claims: { ref: 'main', repository_id: '4321', sub: 'x' } }
    expect(decide(policy, caller, token, now, freshBudget())).toEqual({ ok: true, grant: 'g4321' })
    expect(looks()).toBe(1)
  })

  test('does not grow with grants of other issuers', () => {
    const { policy, looks } = counted(5000, () => ({ sub: 'api' }))
    const caller = { ...api, issuer: issuerName('github') }
    expect(decide(policy, caller, token, now, freshBudget())).toEqual(stranger)
    expect(looks()).toBe(0)
  })

  test('does grow with grants that all name the caller, because each of them may allow it', () => {
    const { policy, looks } = counted(50, () => ({ sub: 'api' }))
    decide(policy, api, token, now, freshBudget())
    expect(looks()).toBe(50)
  })
})

describe('a grant in dry-run', () => {
  const tried = grant('tried', { mode: 'dry-run' })

  test('allows nothing, and is named as what would have', () => {
    expect(decideBy([tried], api, token)).toEqual({
      ok: false,
      refusal: { reason: 'grant_missing', namedBy: [] },
      dryRun: ['tried'],
    })
  })

  test('takes nothing away, charges nothing, and is named beside the one that allows it', () => {
    const policy = createPolicy([tried, grant('orders', { perMinute: 1 })])
    const budget = freshBudget()
    const decided = { ok: true, grant: 'orders', dryRun: ['tried'] }
    expect(decide(policy, api, token, now, budget)).toEqual(decided)
    expect(decide(policy, api, token, now, budget)).toMatchObject({
      refusal: { reason: 'limit_reached', grant: 'orders' },
      dryRun: ['tried'],
    })
  })

  test('is not named for what it would not have allowed', () => {
    const missing = { ok: false, refusal: { reason: 'grant_missing', namedBy: [] } }
    expect(decideBy([tried], api, { ...token, scope: graph })).toEqual(missing)
    expect(decideBy([tried], api, assertion)).toEqual(missing)
    const short = grant('short', { mode: 'dry-run', may: [deployAssertion(60)] })
    expect(decideBy([short], api, { ...assertion, lifetimeSeconds: 61 })).toEqual(missing)
    expect(decideBy([short], api, { ...assertion, lifetimeSeconds: 60 })).toMatchObject({
      dryRun: ['short'],
    })
  })

  test('that has ended, or names somebody else, is not looked at', () => {
    const ended = grant('ended', { mode: 'dry-run', untilSeconds: now })
    const other = grant('other', { mode: 'dry-run', claims: { sub: 'web' } })
    expect(decideBy([ended, other], api, token)).toEqual(stranger)
  })

  test('gives no token again that it gave while it was enforced', () => {
    expect(stillGiven(createPolicy([tried]), grantName('tried'), token, now)).toBeUndefined()
  })
})
