import type { IssuerName, TenantId } from '../base/ids.ts'
import type { Grant } from './grant.ts'
import type { Policy } from './policy.ts'

/** One power that callers of several issuers have. */
export interface SharedPower {
  /** `token APPLICATION RESOURCE/.default` or `assertion APPLICATION`. */
  readonly power: string
  readonly tenants: readonly TenantId[]
  /** By name. */
  readonly issuers: readonly IssuerName[]
}

/**
 * Where callers of different issuers reach the same (application, tenant, resource): what the token
 * may do there belongs to the application, so they can undo one another's work. Powers that must be
 * separate need separate applications.
 */
export function sharedPowers({ grants }: Policy): readonly SharedPower[] {
  return [...issuersByReach(grants)]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([power, reaches]) => sharersOf(reaches).map((sharers) => ({ power, ...sharers })))
}

/** What callers of several issuers share by one policy, and fewer of them shared by the one before it. */
export function newlySharedPowers(before: Policy, after: Policy): readonly SharedPower[] {
  const known = Map.groupBy(sharedPowers(before), ({ power }) => power)
  return sharedPowers(after).flatMap(({ power, tenants, issuers }) => {
    const had = known
      .get(power)
      ?.filter((one) => issuers.every((name) => one.issuers.includes(name)))
    const shared = new Set(had?.flatMap((one) => one.tenants))
    const newly = tenants.filter((tenant) => !shared.has(tenant))
    return newly.length === 0 ? [] : [{ power, tenants: newly, issuers }]
  })
}

/**
 * Which issuers' callers reach a set of tenants. "Any listed tenant" is one and the same set in all
 * grants, so that a hundred grants over a hundred thousand tenants are one reach, not ten million.
 */
type Reaches = Map<ReadonlySet<TenantId>, Set<IssuerName>>

/** By power. */
function issuersByReach(grants: readonly Grant[]): ReadonlyMap<string, Reaches> {
  const byPower = new Map<string, Reaches>()
  for (const { issuer, permissions, mode } of grants) {
    if (mode === 'dry-run') continue
    for (const [power, terms] of permissions) {
      const reaches = byPower.get(power) ?? new Map<ReadonlySet<TenantId>, Set<IssuerName>>()
      byPower.set(power, reaches)
      for (const { tenants } of terms) {
        reaches.set(tenants, (reaches.get(tenants) ?? new Set()).add(issuer))
      }
    }
  }
  return byPower
}

type Sharers = Omit<SharedPower, 'power'>

/** Tenants whose issuers are the same stand together; those with one issuer share nothing. */
function sharersOf(reaches: Reaches): readonly Sharers[] {
  const everybody = new Set([...reaches.values()].flatMap((issuers) => [...issuers]))
  if (everybody.size < 2) return []
  const byTenant = crowdsByTenant(reaches)
  const byCrowd = Map.groupBy(byTenant.keys(), (tenant) => byTenant.get(tenant) ?? '')
  return [...byCrowd]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([crowd, tenants]) => ({ tenants, issuers: namesIn(crowd) }))
    .filter(({ issuers }) => issuers.length > 1)
    .map(({ tenants, issuers }) => ({ tenants: tenants.toSorted(), issuers }))
}

/** Names of issuers in order, with a space between: one text for each combination that occurs. */
type Crowd = string

const namesIn = (crowd: Crowd) => crowd.split(' ') as IssuerName[]

/** A tenant meets each set that it is in once, and each combination is put together once a set. */
function crowdsByTenant(reaches: Reaches): ReadonlyMap<TenantId, Crowd> {
  const byTenant = new Map<TenantId, Crowd>()
  for (const [tenants, issuers] of reaches) {
    const joined = new Map<Crowd | undefined, Crowd>()
    for (const tenant of tenants) {
      const before = byTenant.get(tenant)
      const crowd = joined.get(before) ?? join(before, issuers)
      joined.set(before, crowd)
      byTenant.set(tenant, crowd)
    }
  }
  return byTenant
}

const join = (crowd: Crowd | undefined, issuers: ReadonlySet<IssuerName>): Crowd =>
  [...new Set([...(crowd === undefined ? [] : namesIn(crowd)), ...issuers])].toSorted().join(' ')
