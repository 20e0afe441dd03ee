import { describe, expect, test } from 'vitest'
import { explain, type GrantStanding } from '../../../src/policy/explain.ts'
import type { Ask, CallerFacts } from '../../../src/policy/decision.ts'
import { createPolicy } from '../../../src/policy/policy.ts'
import {
  deploy,
  deployAssertion,
  eventHubs,
  eventHubsToken,
  events,
  fabrikam,
  grant,
  graph,
  issuerName,
  northwind,
} from '../../support/grants.ts'

const now = 1_790_000_000
const api: CallerFacts = { issuer: issuerName('cluster'), claims: { sub: 'api', level: 1 } }
const eventHubsAsk = {
  want: 'token',
  application: events,
  tenant: fabrikam,
  scope: eventHubs,
} satisfies Ask
const assertionAsk = { want: 'assertion', application: deploy, tenant: fabrikam } satisfies Ask

const findings = (
  grants: Parameters<typeof createPolicy>[0],
  ask: Ask = eventHubsAsk,
  caller: CallerFacts = api,
) => explain(createPolicy(grants), caller, ask, now)

const only = (one: ReturnType<typeof grant>, ask: Ask = eventHubsAsk): GrantStanding | undefined =>
  findings([one], ask)[0]?.finding

test('grants that give it are told in the order in which they are charged', () => {
  const may = [eventHubsToken, deployAssertion()]
  const grants = [grant('a', { may }), grant('c', { may }), grant('b', { may, longLived: true })]
  const names = (ask: Ask) => findings(grants, ask).map(({ grant: name }) => name)
  expect(names(eventHubsAsk)).toEqual(['b', 'a', 'c'])
  expect(names(assertionAsk)).toEqual(['a', 'b', 'c'])
})

describe('a grant', () => {
  test('gives what it gives', () => {
    expect(only(grant('orders'))).toEqual({ kind: 'gives' })
    expect(only(grant('ci', { may: [deployAssertion()] }), assertionAsk)).toEqual({ kind: 'gives' })
  })

  test.for([
    ['another value', { sub: 'web' }, 'sub', { is: 'value', value: 'api' }],
    ['another type', { level: '1' }, 'level', { is: 'value', value: 1 }],
    ['nothing', { ref: 'main' }, 'ref', { is: 'absent' }],
  ] as const)('is missed by the first claim that says %s', ([, claims, claim, has]) => {
    const all = { sub: 'api', ...claims, also: 'missing' }
    const rule = { claim, anyOf: [all[claim as keyof typeof all]] }
    expect(only(grant('orders', { claims: all }))).toEqual({ kind: 'claim', rule, has })
  })

  test.for([['list'], null, { is: 'map' }])('is missed by a claim that is %j', (sub) => {
    const [found] = findings([grant('orders')], eventHubsAsk, { ...api, claims: { sub } })
    expect(found?.finding).toMatchObject({ kind: 'claim', has: { is: 'no plain value' } })
  })

  test('does not take what every object inherits for a claim', () => {
    const [found] = findings([grant('orders', { claims: { constructor: 'x' } })])
    expect(found?.finding).toMatchObject({ has: { is: 'absent' } })
  })

  test('that has ended says so', () => {
    expect(only(grant('orders', { untilSeconds: now }))).toEqual({ kind: 'ended' })
    expect(only(grant('orders', { untilSeconds: now + 1 }))).toEqual({ kind: 'gives' })
  })

  test('that is only tried says that it would give it, and where it would not, why', () => {
    const tried = grant('tried', { mode: 'dry-run' })
    expect(only(tried)).toEqual({ kind: 'dry-run' })
    expect(only(tried, { ...eventHubsAsk, scope: graph })).toEqual({ kind: 'scope' })
  })

  test('says what of the ask it lacks: application, scope, tenant or lifetime', () => {
    const orders = grant('orders')
    expect(only(orders, { ...eventHubsAsk, application: deploy })).toEqual({ kind: 'application' })
    expect(only(orders, { ...eventHubsAsk, scope: graph })).toEqual({ kind: 'scope' })
    expect(only(orders, { ...eventHubsAsk, tenant: northwind })).toEqual({ kind: 'tenant' })
    expect(only(orders, { ...assertionAsk, application: events })).toEqual({ kind: 'application' })
    const ci = grant('ci', { may: [deployAssertion(60)] })
    expect(only(ci, { ...assertionAsk, lifetimeSeconds: 61 })).toEqual({
      kind: 'lifetime',
      maxSeconds: 60,
    })
    expect(only(ci, { ...assertionAsk, tenant: northwind })).toEqual({ kind: 'tenant' })
  })
})

describe('a grant, for whoever wants to revoke', () => {
  const revocation = { want: 'revocation' } as const
  const standing = (one: ReturnType<typeof grant>) =>
    explain(createPolicy([one]), api, revocation, now)[0]?.finding

  test('gives that where it says so, is in force and is not only tried', () => {
    const admins = { mayRevoke: true } as const
    expect(standing(grant('admins', admins))).toEqual({ kind: 'gives' })
    expect(standing(grant('tried', { ...admins, mode: 'dry-run' }))).toEqual({ kind: 'dry-run' })
    expect(standing(grant('over', { ...admins, untilSeconds: now }))).toEqual({ kind: 'ended' })
    expect(standing(grant('orders'))).toEqual({ kind: 'revocation' })
  })
})

describe('a grant, for whoever wants to read the ledger', () => {
  const standing = (one: ReturnType<typeof grant>) =>
    explain(createPolicy([one]), api, { want: 'audit' }, now)[0]?.finding

  test('gives that where it says so, is in force and is not only tried', () => {
    const auditors = { mayAudit: true } as const
    expect(standing(grant('auditors', auditors))).toEqual({ kind: 'gives' })
    expect(standing(grant('tried', { ...auditors, mode: 'dry-run' }))).toEqual({ kind: 'dry-run' })
    expect(standing(grant('over', { ...auditors, untilSeconds: now }))).toEqual({ kind: 'ended' })
    expect(standing(grant('admins', { mayRevoke: true }))).toEqual({ kind: 'audit' })
  })
})

describe('of several grants', () => {
  test('those of other issuers are left out', () => {
    expect(findings([grant('orders', { issuer: 'platform' })])).toEqual([])
  })

  test('the nearest comes first: whoever gives, misses by least, has most claims right', () => {
    const ask = { ...eventHubsAsk, tenant: northwind }
    const names = findings(
      [
        grant('far', { claims: { sub: 'web', level: 2 } }),
        grant('near', { claims: { sub: 'api', level: 2 } }),
        grant('elsewhere'),
        grant('nothing', { may: [deployAssertion()] }),
        grant('also-far', { claims: { sub: 'web', level: 3 } }),
      ],
      ask,
    ).map((one) => one.grant)
    expect(names).toEqual(['elsewhere', 'nothing', 'near', 'also-far', 'far'])
  })
})
