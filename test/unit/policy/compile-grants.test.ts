import { describe, expect, test } from 'vitest'
import { compileGrants } from '../../../src/policy/compile-grants.ts'
import { createMemoryGrantBudget } from '../../../src/policy/grant-budget.ts'
import type { GrantSurroundings } from '../../../src/policy/grant-checks.ts'
import type { GrantFile } from '../../../src/policy/grant-folder.ts'
import type { Ask } from '../../../src/policy/decision.ts'
import { decide, type Policy } from '../../../src/policy/policy.ts'
import { fixedClock } from '../../support/fixed-clock.ts'
import {
  deploy,
  eventHubs,
  events,
  fabrikam,
  issuerName,
  northwind,
  scope,
  tenantId,
} from '../../support/grants.ts'

const now = 1_790_000_000
const surroundings: GrantSurroundings = {
  publicUrl: 'https://countersign.contoso.example',
  applications: [
    { name: 'events', tenants: [fabrikam, northwind], handOut: false },
    { name: 'deploy', tenants: [fabrikam], handOut: true },
  ],
  issuers: [
    { name: 'cluster', kind: 'kubernetes', audience: 'https://countersign.contoso.example' },
    { name: 'platform', kind: 'entra', audience: 'api://countersign' },
  ],
}

interface Written {
  readonly grant?: string
  readonly claims?: string
  readonly may?: string
  readonly rest?: string
}

const text = ({ grant = 'orders', claims = '{ sub: api }', may, rest = '' }: Written) => `
grant: ${grant}
caller: { issuer: cluster, claims: ${claims} }
may: [${may ?? `{ application: events, tenant: ${fabrikam}, scopes: [${eventHubs}] }`}]
${rest}`

const file = (name: string, written: Written | string): GrantFile => ({
  file: `grants/${name}`,
  ok: true,
  text: typeof written === 'string' ? written : text(written),
})

const compile = (files: readonly GrantFile[], around = surroundings) =>
  compileGrants(files, around, now)

const token: Ask = { want: 'token', application: events, tenant: fabrikam, scope: eventHubs }
const allows = (policy: Policy, ask: Ask = token) =>
  decide(
    policy,
    { issuer: issuerName('cluster'), subject: 'api', claims: { sub: 'api' } },
    ask,
    now,
    createMemoryGrantBudget(fixedClock(now)),
  ).ok

describe('one grant file', () => {
  test('allows what it says', () => {
    const { policy, problems, broken } = compile([file('orders.yaml', {})])
    expect(problems).toEqual([])
    expect(broken).toBe(0)
    expect(allows(policy)).toBe(true)
    expect(allows(policy, { ...token, tenant: northwind })).toBe(false)
  })

  test('folds the slashes that some clients write', () => {
    const may = `{ application: events, tenant: ${fabrikam}, scopes: [https://eventhubs.azure.net//.default] }`
    expect(allows(compile([file('orders.yaml', { may })]).policy)).toBe(true)
  })

  test('allows every listed tenant with any-listed, and no other', () => {
    const may = `{ application: events, tenant: any-listed, scopes: [${eventHubs}] }`
    const { policy } = compile([file('orders.yaml', { may })])
    expect(allows(policy, { ...token, tenant: northwind })).toBe(true)
    const elsewhere = tenantId('c0c0c0c0-0000-4000-8000-000000000001')
    expect(allows(policy, { ...token, tenant: elsewhere })).toBe(false)
  })

  test('carries its limit and its end', () => {
    const rest = 'limits: { perMinute: 60 }\nuntil: 2027-03-01'
    const [grant] = compile([file('orders.yaml', { rest })]).policy.grants
    expect(grant).toMatchObject({
      limits: { perMinute: 60 },
      untilSeconds: Date.UTC(2027, 2, 1) / 1000,
    })
  })

  test('carries what it says of its tokens, and nothing when it says nothing', () => {
    const rest = 'isolate: true\nlongLived: true'
    const [grant] = compile([file('orders.yaml', { rest })]).policy.grants
    expect(grant).toMatchObject({ isolate: true, longLived: true })
    const [plain] = compile([file('orders.yaml', { rest: 'isolate: false\nlongLived: false' })])
      .policy.grants
    expect(plain).not.toHaveProperty('isolate')
    expect(plain).not.toHaveProperty('longLived')
  })

  test.for([
    ['2027-03-01T12:00:00+01:00', Date.UTC(2027, 2, 1, 11) / 1000],
    ['2027-03-01T12:00:00.900Z', Date.UTC(2027, 2, 1, 12) / 1000],
  ] as const)('ends at %s', ([until, untilSeconds]) => {
    const [grant] = compile([file('orders.yaml', { rest: `until: ${until}` })]).policy.grants
    expect(grant?.untilSeconds).toBe(untilSeconds)
  })

  test.for(['2027-02-29', '2027-13-01', '2027-03-01T25:00:00Z', '2027-03-01T12:00:00', '1e9'])(
    'has no end at %s, which is no time',
    (until) => {
      const { policy, problems } = compile([file('orders.yaml', { rest: `until: "${until}"` })])
      expect(problems).toMatchObject([{ rule: 'grant.wrong-value', severity: 'error' }])
      expect(allows(policy)).toBe(false)
    },
  )
})

describe('a broken file', () => {
  test('grants nothing, not even what of it is sound', () => {
    const sound = `{ application: events, tenant: ${fabrikam}, scopes: [${eventHubs}] }`
    const may = `${sound}, { application: nobody, tenant: ${fabrikam}, scopes: [${eventHubs}] }`
    const { policy, broken } = compile([file('orders.yaml', { may })])
    expect(broken).toBe(1)
    expect(policy.grants).toEqual([])
    expect(allows(policy)).toBe(false)
  })

  test('leaves the others as they are', () => {
    const files = [
      file('broken.yaml', 'grant: [\n'),
      { file: 'grants/closed.yaml', ok: false, fault: 'It may not be read.' } as const,
      file('orders.yaml', {}),
    ]
    const { policy, problems, broken } = compile(files)
    expect(broken).toBe(2)
    expect(problems.map(({ file: name, rule }) => [name, rule])).toEqual([
      ['grants/broken.yaml', 'yaml.syntax'],
      ['grants/closed.yaml', 'grant.unreadable'],
    ])
    expect(allows(policy)).toBe(true)
  })

  test('takes a file of the same name with it, so that the ledger is never ambiguous', () => {
    const files = [file('a.yaml', {}), file('b.yaml', {}), file('c.yaml', { grant: 'other' })]
    const { policy, problems } = compile(files)
    expect(policy.grants.map(({ name }) => name)).toEqual(['other'])
    expect(problems.map(({ rule }) => rule)).toEqual(['grant.same-name', 'grant.same-name'])
  })

  test('is not made of a warning', () => {
    const { policy, problems, broken } = compile([
      file('orders.yaml', { rest: 'until: 2020-01-01' }),
    ])
    expect(problems).toMatchObject([{ rule: 'grant.ended', severity: 'warning' }])
    expect(broken).toBe(0)
    expect(policy.grants).toHaveLength(1)
    expect(allows(policy)).toBe(false)
  })
})

describe('the service itself', () => {
  test.for([
    'https://countersign.contoso.example',
    'https://COUNTERSIGN.contoso.example',
    'https://countersign.contoso.example/',
    'api://countersign',
  ])('is no resource that a grant may name: %s', (resource) => {
    const may = `{ application: events, tenant: ${fabrikam}, scopes: ["${resource}/.default"] }`
    const { policy, problems } = compile([file('orders.yaml', { may })])
    expect(problems).toMatchObject([{ rule: 'grant.resource-is-ours' }])
    expect(allows(policy, { ...token, scope: scope(`${resource}/.default`) })).toBe(false)
  })
})

describe('what is not known', () => {
  const assertion: Ask = { want: 'assertion', application: deploy, tenant: fabrikam }
  const may = `{ application: deploy, tenant: ${fabrikam}, assertion: {} }`

  test('allows nothing: tenants that could not be read', () => {
    const around = { ...surroundings, applications: [{ name: 'events' }, { name: 'deploy' }] }
    const { policy, problems } = compile([file('orders.yaml', {})], around)
    expect(problems).toEqual([])
    expect(allows(policy)).toBe(false)
  })

  test('allows nothing: whether assertions may leave', () => {
    const around = {
      ...surroundings,
      applications: [{ name: 'deploy', tenants: [fabrikam], handOut: undefined }],
    }
    expect(allows(compile([file('ship.yaml', { may })], around).policy, assertion)).toBe(false)
    expect(allows(compile([file('ship.yaml', { may })]).policy, assertion)).toBe(true)
  })
})

describe('the fingerprint of a policy', () => {
  const files = [file('a.yaml', {}), file('b.yaml', { grant: 'other' })]

  test('is the same whatever order the files come in', () => {
    expect(compile(files.toReversed()).sha256).toBe(compile(files).sha256)
  })

  test('changes with any text, a comment and a broken file included', () => {
    const commented = [...files.slice(1), file('a.yaml', `${text({})}# now`)]
    const withBroken = [...files, file('c.yaml', 'grant: [')]
    const all = [files, commented, withBroken].map((some) => compile(some).sha256)
    expect(new Set(all).size).toBe(3)
  })
})
