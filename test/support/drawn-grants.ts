import { fc } from './drawn-cases.ts'
import type { Ask, CallerFacts } from '../../src/policy/decision.ts'
import type { GrantSurroundings } from '../../src/policy/grant-checks.ts'
import type { GrantFile } from '../../src/policy/grant-folder.ts'
import {
  applicationName,
  deploy,
  eventHubs,
  events,
  fabrikam,
  graph,
  issuerName,
  northwind,
  scope,
  tenantId,
} from './grants.ts'

/** A small world, so that what is drawn often meets: few names, few values, few tenants. */

export const now = 1_790_000_000
const issuers = ['cluster', 'platform'].map(issuerName)
export const claimNames = ['sub', 'ref', 'level', 'constructor', 'toString'] as const
export const claimValues = ['api', 'main', '1', 1, 0, true, false, 'true', ''] as const
const tenants = [fabrikam, northwind]
const scopes = [eventHubs, graph]
export const surroundings: GrantSurroundings = {
  publicUrl: 'https://countersign.contoso.example',
  applications: [
    { name: events, tenants, handOut: true },
    { name: deploy, tenants: [fabrikam], handOut: true },
  ],
  issuers: issuers.map((name) => ({ name, kind: 'oidc', audience: 'countersign' })),
}

interface Item {
  readonly application: string
  readonly tenant: string
  readonly scopes?: readonly string[]
  readonly assertion?: { readonly lifetimeSeconds: number }
}

export interface Written {
  readonly grant: string
  readonly caller: { readonly issuer: string; readonly claims: Record<string, unknown> }
  readonly may: readonly Item[]
  readonly mode?: 'enforced' | 'dry-run'
  readonly longLived?: boolean
  /** `{ admin: revoke }` among what it may. */
  readonly revokes?: boolean
}

const subset = <Value>(values: readonly Value[]) =>
  fc.subarray([...values], { minLength: 1, maxLength: Math.min(3, values.length) })

const item: fc.Arbitrary<Item> = fc
  .tuple(
    fc.constantFrom<readonly [string, string]>(
      [events, fabrikam],
      [events, northwind],
      [events, 'any-listed'],
      [deploy, fabrikam],
      [deploy, 'any-listed'],
    ),
    fc.oneof(
      subset(scopes).map((some) => ({ scopes: some })),
      fc.constantFrom(60, 300, 600).map((lifetimeSeconds) => ({ assertion: { lifetimeSeconds } })),
    ),
  )
  .map(([[application, tenant], want]) => ({ application, tenant, ...want }))

/** What some of the values are like, `main` and `api` of both kinds. */
const patterns = [{ like: 'ma*' }, { like: '*i' }, { like: '*a*' }] as const
const matchers = [...claimValues, ...patterns]

const rule = fc.oneof(fc.constantFrom(...matchers), subset(matchers))

/** By a regular expression, which the product does not use. */
export const holdsOf = (matcher: unknown, value: unknown): boolean =>
  typeof matcher === 'object' && matcher !== null && 'like' in matcher
    ? typeof value === 'string' &&
      new RegExp(`^${String(matcher.like).replaceAll('*', '[^/:@|%]+')}$`, 'u').test(value)
    : matcher === value

export const written = (grant: string): fc.Arbitrary<Written> =>
  fc.record({
    grant: fc.constant(grant),
    caller: fc.record({
      issuer: fc.constantFrom(...issuers),
      claims: fc.dictionary(fc.constantFrom(...claimNames), rule, { minKeys: 1, maxKeys: 3 }),
    }),
    may: fc.array(item, { minLength: 1, maxLength: 3 }),
    mode: fc.constantFrom('enforced', 'enforced', 'enforced', 'dry-run'),
    revokes: fc.constantFrom(false, false, true),
  })

const six = fc.tuple(...['a', 'b', 'c', 'd', 'e', 'f'].map(written))

/** Up to six grants, each with a name of its own. */
export const grants = six.chain((all) => fc.subarray(all))

/** The same, some of which give something of one grant to its callers, as that does. */
export const overlappingGrants = fc
  .tuple(six, written('like'), fc.array(fc.boolean(), { minLength: 6, maxLength: 6 }))
  .map(([drawn, { caller, may }, alike]) =>
    drawn.map((grant, index) =>
      alike[index] === true
        ? { ...grant, caller, may: [...may.slice(0, 1), ...grant.may.slice(1)] }
        : grant,
    ),
  )
  .chain((all) => fc.subarray(all))

const caller: fc.Arbitrary<CallerFacts> = fc.record({
  issuer: fc.constantFrom(...issuers),
  claims: fc.dictionary(fc.constantFrom(...claimNames), fc.constantFrom(...claimValues)),
})

/** A grant's caller to the letter, so that permissions are met and not only refusals. */
export const matching = (grant: Written): CallerFacts => ({
  issuer: issuerName(grant.caller.issuer),
  claims: Object.fromEntries(
    Object.entries(grant.caller.claims).map(([claim, value]) => [
      claim,
      claimValues.find((one) => holdsOf(Array.isArray(value) ? value[0] : value, one)),
    ]),
  ),
})

export const callers = (from: readonly Written[]) =>
  from.length === 0 ? caller : fc.oneof(caller, fc.constantFrom(...from).map(matching))

export const ask: fc.Arbitrary<Ask> = fc.oneof(
  fc.record({
    want: fc.constant('token' as const),
    application: fc.constantFrom(events, deploy, applicationName('other')),
    tenant: fc.constantFrom(...tenants),
    scope: fc.constantFrom(...scopes),
  }),
  fc.record(
    {
      want: fc.constant('assertion' as const),
      application: fc.constantFrom(events, deploy),
      tenant: fc.constantFrom(...tenants),
      lifetimeSeconds: fc.constantFrom(30, 60, 100, 300, 600),
    },
    { requiredKeys: ['want', 'application', 'tenant', 'lifetimeSeconds'] },
  ),
)

/** Somebody who asks for something: often whom one of these grants names, for what that gives. */
export const askers = (from: readonly Written[]) => {
  const anybody = fc.record({ caller: callers(from), want: ask })
  return from.length === 0 ? anybody : fc.oneof(anybody, fc.constantFrom(...from).chain(taking))
}

const taking = (grant: Written) =>
  fc.record({
    caller: fc.constant(matching(grant)),
    want: fc.constantFrom(...grant.may).map(askOf),
  })

function askOf({ application: name, tenant: named, scopes: given, assertion }: Item): Ask {
  const application = applicationName(name)
  const tenant = named === 'any-listed' ? fabrikam : tenantId(named)
  return assertion === undefined
    ? { want: 'token', application, tenant, scope: scope(given?.[0] ?? eventHubs) }
    : { want: 'assertion', application, tenant, ...assertion }
}

export const fileOf = ({ revokes = false, ...grant }: Written): GrantFile => ({
  file: `grants/${grant.grant}.yaml`,
  ok: true,
  // JSON is YAML, and says what was drawn without a writer of ours in between.
  text: JSON.stringify({
    ...grant,
    may: revokes ? [...grant.may, { admin: 'revoke' }] : grant.may,
  }),
})
