import type { IssuerName, TenantId } from '../base/ids.ts'
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
  const reaches = grants.flatMap(({ issuer, permissions }) =>
    [...permissions].flatMap(([power, terms]) =>
      terms.flatMap(({ tenants }) => [...tenants].map((tenant) => ({ power, tenant, issuer }))),
    ),
  )
  return [...Map.groupBy(reaches, ({ power }) => power)]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([power, ofPower]) => {
      const sharers = [...Map.groupBy(ofPower, ({ tenant }) => tenant)]
        .map(([tenant, reach]) => ({ tenant, issuers: issuersOf(reach) }))
        .filter(({ issuers }) => issuers.length > 1)
      const bySharers = Map.groupBy(sharers, ({ issuers }) => issuers.join(' '))
      const inOrder = [...bySharers].toSorted(([a], [b]) => (a < b ? -1 : 1))
      return inOrder.map(([, same]) => ({
        power,
        tenants: same.map(({ tenant }) => tenant).toSorted(),
        issuers: same[0]?.issuers ?? [],
      }))
    })
}

const issuersOf = (reach: readonly { readonly issuer: IssuerName }[]) =>
  [...new Set(reach.map(({ issuer }) => issuer))].toSorted()
