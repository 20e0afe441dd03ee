import { describe, expect, test } from 'vitest'
import { createPolicy } from '../../../src/policy/policy.ts'
import type { Grant } from '../../../src/policy/grant.ts'
import { newlySharedPowers } from '../../../src/policy/shared-powers.ts'
import { grantWidenings } from '../../../src/policy/widening.ts'
import {
  deployAssertion,
  eventHubs,
  eventHubsToken,
  fabrikam,
  grant,
  graph,
  northwind,
} from '../../support/grants.ts'

const power = 'token events https://eventhubs.azure.net/.default'
const between = (before: readonly Grant[], after: readonly Grant[]) =>
  grantWidenings(createPolicy(before), createPolicy(after))
const stepsOf = (before: Grant, after: Grant) => between([before], [after])[0]?.steps ?? []

const until = (untilSeconds: number) => grant('a', { untilSeconds })
const inBoth = { ...eventHubsToken, tenants: new Set([fabrikam, northwind]) }

describe('a grant', () => {
  test('that is new is reported, with what it gives', () => {
    expect(between([], [grant('a')])).toEqual([
      { grant: 'a', steps: [{ step: 'new-grant' }], powers: [{ power, tenants: [fabrikam] }] },
    ])
    expect(between([grant('a')], [])).toEqual([])
  })

  test.for<readonly [string, Grant, Grant, object]>([
    ['in force', grant('a', { mode: 'dry-run' }), grant('a'), { step: 'in-force' }],
    [
      'of another claim',
      grant('a', { claims: { sub: 'api', ref: 'main' } }),
      grant('a'),
      { step: 'claim-removed', claim: 'ref' },
    ],
    [
      'of more callers',
      grant('a'),
      grant('a', { claims: { sub: ['api', 'web'] } }),
      { step: 'claim-widened', claim: 'sub', also: ['web'] },
    ],
    ['longer', until(10), until(20), { step: 'until', fromSeconds: 10, toSeconds: 20 }],
    ['without an end', until(10), grant('a'), { step: 'until', fromSeconds: 10 }],
    [
      'more often',
      grant('a', { perMinute: 5 }),
      grant('a', { perMinute: 6 }),
      { step: 'limit', of: 'token', by: 'perMinute', from: 5, to: 6 },
    ],
    [
      'without limit',
      grant('a', { perMinute: 5 }),
      grant('a'),
      { step: 'limit', of: 'token', by: 'perMinute', from: 5 },
    ],
    ['of a day', grant('a'), grant('a', { longLived: true }), { step: 'long-lived' }],
    [
      'in more tenants',
      grant('a'),
      grant('a', { may: [inBoth] }),
      { step: 'permission', power, tenants: [northwind] },
    ],
    [
      'of another scope',
      grant('a'),
      grant('a', { may: [{ ...eventHubsToken, scopes: [eventHubs, graph] }] }),
      { step: 'permission', power: `token events ${graph}`, tenants: [fabrikam] },
    ],
    [
      'with longer assertions',
      grant('a', { may: [deployAssertion(60)] }),
      grant('a', { may: [deployAssertion(300)] }),
      { step: 'lifetime', power: 'assertion deploy', from: 60, to: 300 },
    ],
  ])('that gives it %s is reported, and not when it is taken back', ([, before, after, step]) => {
    expect(stepsOf(before, after)).toEqual([step])
    expect(stepsOf(after, before)).toEqual([])
  })

  test('that is isolated, or is not any more, is reported', () => {
    const [alone, together] = [grant('a', { isolate: true }), grant('a')]
    expect(stepsOf(together, alone)).toEqual([{ step: 'isolate', isolated: true }])
    expect(stepsOf(alone, together)).toEqual([{ step: 'isolate', isolated: false }])
  })

  test('of callers of another issuer is reported', () => {
    const [cluster, github] = [grant('a'), grant('a', { issuer: 'github' })]
    expect(stepsOf(cluster, github)).toEqual([{ step: 'issuer', from: 'cluster', to: 'github' }])
  })

  test('under another name is not, unless its uses are limited', () => {
    expect(between([grant('a')], [grant('b')])).toEqual([])
    const limited = (name: string) => grant(name, { perMinute: 5 })
    expect(between([limited('a')], [limited('b')])).toMatchObject([{ grant: 'b' }])
    const assertions = (name: string) => grant(name, { may: [deployAssertion()] })
    expect(between([assertions('a')], [assertions('b')])).toMatchObject([{ grant: 'b' }])
  })

  test('that gives what several gave in several tenants is not', () => {
    const inNorthwind = { ...eventHubsToken, tenants: new Set([northwind]) }
    const before = [grant('a'), grant('b', { may: [inNorthwind] })]
    expect(between(before, [grant('c', { may: [inBoth] })])).toEqual([])
  })

  test('with a setting that is not known here is reported whenever that changes', () => {
    const set = (value: unknown, extra: object = {}) =>
      Object.assign(grant('a'), { future: value }, extra)
    expect(stepsOf(set(1), set(2))).toEqual([{ step: 'other', members: ['future'] }])
    expect(stepsOf(grant('a'), set(1))).toEqual([{ step: 'other', members: ['future'] }])
    expect(stepsOf(set(new Map([['x', 1]])), set(new Map([['x', 1]])))).toEqual([])
    const nothingElse = { permissions: new Map() }
    expect(stepsOf(set(1, nothingElse), set(2, nothingElse))).toEqual([
      { step: 'other', members: ['future'] },
    ])
  })

  test('of a day under another name is not, and nothing is when an ordinary one beside it goes', () => {
    const [ordinary, long] = [grant('a'), grant('b', { longLived: true })]
    expect(between([ordinary, long], [long])).toEqual([])
    expect(between([long], [grant('c', { longLived: true })])).toEqual([])
    expect(between([ordinary], [ordinary, long])).toMatchObject([
      { grant: 'b', steps: [{ step: 'new-grant' }] },
    ])
  })

  test('that is one of very many is compared with few', () => {
    const names = Array.from({ length: 5000 }, (_, index) => `g${index}`)
    const all = (claim: string) => names.map((name) => grant(name, { claims: { [claim]: name } }))
    expect(between(all('sub'), all('sub'))).toEqual([])
    expect(between(all('sub'), all('ref'))).toHaveLength(5000)
  })
})

describe('powers that callers of several issuers newly share', () => {
  const github = grant('b', { issuer: 'github' })
  const shared = { power, tenants: [fabrikam], issuers: ['cluster', 'github'] }

  test('are named once, when they begin to', () => {
    const [one, both] = [createPolicy([grant('a')]), createPolicy([grant('a'), github])]
    expect(newlySharedPowers(one, both)).toEqual([shared])
    expect(newlySharedPowers(both, both)).toEqual([])
    expect(newlySharedPowers(both, one)).toEqual([])
  })

  test('are those of a further tenant alone', () => {
    const wide = (name: string, issuer: string) => grant(name, { issuer, may: [inBoth] })
    const before = createPolicy([grant('a'), wide('b', 'github')])
    const after = createPolicy([wide('a', 'cluster'), wide('b', 'github')])
    expect(newlySharedPowers(before, after)).toEqual([{ ...shared, tenants: [northwind] }])
  })
})
