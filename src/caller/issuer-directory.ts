import type { TenantId } from '../base/ids.ts'
import { parsePolicy, policyIn } from './b2c-policy.ts'
import {
  assertIssuerSettings,
  type AzureDevOpsInEntraSettings,
  type EntraB2cSettings,
  type EntraIssuerSettings,
  type IssuerSettings,
} from './issuer-settings.ts'
import type { KeyLocation } from './key-source.ts'
import { trustDomainIn } from './spiffe-id.ts'

/** The tenant and version of Entra that an `iss` stands for. */
export interface EntraTenant {
  readonly tenantId: TenantId
  /** What `ver` must say; absent where nobody knows whether it is said. */
  readonly version?: '1.0' | '2.0'
  /** What `issuer` of a key must be, the tenant put into its template; the v2 form for v1 tokens too. */
  readonly keyIssuer: string
}

/** An issuer, and for Entra the tenant, that a token names. */
export interface NamedIssuer {
  readonly settings: IssuerSettings
  /** Where Entra issues the tokens. */
  readonly tenant?: EntraTenant
}

export type IssuerFinding =
  | { readonly found: 'issuer'; readonly issuer: NamedIssuer }
  | { readonly found: 'unlisted tenant'; readonly settings: EntraIssuerSettings }
  | { readonly found: 'nothing' }

/** Claims that say from whom a token is. */
interface NamingClaims {
  readonly iss?: unknown
  readonly sub?: unknown
  readonly tid?: unknown
  readonly tfp?: unknown
  readonly acr?: unknown
}

/** Who a token says it is from, among those that count. Decided before any key is looked for. */
export interface IssuerDirectory {
  find(claims: NamingClaims): IssuerFinding
}

/** @throws RangeError when two issuers could have made one token: nobody could say which vouches. */
export function createIssuerDirectory(issuers: readonly IssuerSettings[]): IssuerDirectory {
  for (const settings of issuers) assertIssuerSettings(settings)
  const byIss = mapOf(issuers, namesOf)
  const byOrganization = mapOf(issuers, organizationNamesOf)
  const byTrustDomain = mapOf(issuers, trustDomainNamesOf)
  const byPolicy = mapOf(issuers, policyNamesOf)
  for (const { settings } of byPolicy.values()) {
    if ('issuer' in settings && byIss.has(settings.issuer)) {
      throw new RangeError(`issuer ${settings.name}: ${settings.issuer} is another's`)
    }
  }
  const entra = issuers.filter((settings) => settings.kind === 'entra')

  const issuerFrom = (iss: string, claims: NamingClaims): NamedIssuer | undefined => {
    const issuer = byIss.get(iss) ?? byPolicy.get(`${iss} ${policyIn(claims) ?? ''}`)
    const organization = organizationIn(claims.sub)
    // Only Entra has service connections beside what else it issues, whose subjects never look so.
    const isOthers = issuer !== undefined && issuer.settings.kind !== 'entra'
    if (organization === undefined || isOthers) return issuer
    return byOrganization.get(`${iss} ${organization}`)
  }
  return {
    find: (claims) => {
      const { iss, sub, tid } = claims
      const issuer = typeof iss === 'string' ? issuerFrom(iss, claims) : undefined
      if (issuer === undefined) {
        const trustDomain = byTrustDomain.get(trustDomainIn(sub) ?? '')
        if (trustDomain !== undefined) return { found: 'issuer', issuer: trustDomain }
        const isConnection = organizationIn(sub) !== undefined
        return typeof iss !== 'string' || isConnection
          ? { found: 'nothing' }
          : strangerFrom(iss, entra)
      }
      const { settings, tenant } = issuer
      if (settings.kind === 'entra' && tid !== tenant?.tenantId) {
        return { found: 'unlisted tenant', settings }
      }
      return { found: 'issuer', issuer }
    },
  }
}

type Named = readonly (readonly [name: string, issuer: NamedIssuer])[]

function mapOf(
  issuers: readonly IssuerSettings[],
  namesIn: (settings: IssuerSettings) => Named,
): ReadonlyMap<string, NamedIssuer> {
  const byName = new Map<string, NamedIssuer>()
  for (const settings of issuers) {
    for (const [name, issuer] of namesIn(settings)) {
      if (byName.has(name)) throw new RangeError(`issuer ${settings.name}: ${name} is another's`)
      byName.set(name, issuer)
    }
  }
  return byName
}

/** Where the keys of an issuer are asked for: hosts that the operator named, and no others. */
export function keyLocationOf(settings: IssuerSettings): KeyLocation {
  if (settings.jwksUri !== undefined) return { jwksUri: new URL(settings.jwksUri) }
  if (settings.kind === 'spiffe') return { bundleUrl: new URL(settings.bundleUrl) }
  if (settings.kind === 'entra-b2c') return { jwksUri: policyKeysOf(settings) }
  if (!('authority' in settings)) return { discoverFrom: settings.issuer }
  return { jwksUri: new URL('/common/discovery/v2.0/keys', settings.authority) }
}

/** Each policy of B2C may sign with keys of its own: `…/TENANT/v2.0/` is beside `…/TENANT/POLICY/…`. */
const policyKeysOf = ({ issuer, policy }: EntraB2cSettings) =>
  new URL(`../${policy}/discovery/v2.0/keys`, issuer)

/** Every `iss` that is theirs alone. */
function namesOf(settings: IssuerSettings): Named {
  if (settings.kind === 'azure-devops-in-entra' || settings.kind === 'spiffe') return []
  if (settings.kind === 'entra-b2c') return []
  if (settings.kind !== 'entra') return [[settings.issuer, { settings }]]
  return settings.tenants.flatMap((tenantId) => {
    const keyIssuer = issV2(settings, tenantId)
    const v1: EntraTenant = { tenantId, version: '1.0', keyIssuer }
    const v2: EntraTenant = { tenantId, version: '2.0', keyIssuer }
    return [
      [issV1(settings, tenantId), { settings, tenant: v1 }],
      [keyIssuer, { settings, tenant: v2 }],
    ] as const
  })
}

/**
 * Of one tenant Entra issues tokens to its applications and to service connections of Azure DevOps
 * alike: the latter say whose they are in `sub` alone.
 */
function organizationNamesOf(settings: IssuerSettings): Named {
  if (settings.kind !== 'azure-devops-in-entra') return []
  const { tenant: tenantId, organization } = settings
  const keyIssuer = issV2(settings, tenantId)
  return [[`${keyIssuer} ${organization}`, { settings, tenant: { tenantId, keyIssuer } }]]
}

const trustDomainNamesOf = (settings: IssuerSettings): Named =>
  settings.kind === 'spiffe' ? [[`spiffe://${settings.trustDomain}`, { settings }]] : []

/** All policies of a tenant of B2C share one `iss`. */
const policyNamesOf = (settings: IssuerSettings): Named =>
  settings.kind === 'entra-b2c'
    ? [[`${settings.issuer} ${parsePolicy(settings.policy) ?? ''}`, { settings }]]
    : []

const issV1 = ({ authorityV1 }: EntraIssuerSettings, tenant: string) => `${authorityV1}/${tenant}/`
const issV2 = ({ authority }: EntraIssuerSettings | AzureDevOpsInEntraSettings, tenant: string) =>
  `${authority}/${tenant}/v2.0`

/**
 * The organisation of a service connection, from the subject that Entra gives it:
 * `/eid1/c/pub/t/TENANT/a/APPLICATION/sc/ORGANISATION/CONNECTION`. No application's subject begins so.
 */
function organizationIn(sub: unknown): string | undefined {
  if (typeof sub !== 'string' || !sub.startsWith('/eid1/')) return undefined
  return /^\/eid1\/(?:[^/]+\/){6}sc\/([0-9a-fA-F-]{36})\/[^/]+$/.exec(sub)?.[1]?.toLowerCase() ?? ''
}

/** A tenant of a known Entra that is on no list is worth telling from an unheard-of issuer. */
function strangerFrom(iss: string, entra: readonly EntraIssuerSettings[]): IssuerFinding {
  const tenant = /^https?:\/\/[^/]+\/([0-9a-f-]{36})\//.exec(iss)?.[1]
  if (tenant === undefined) return { found: 'nothing' }
  const settings = entra.find((candidate) =>
    [issV1(candidate, tenant), issV2(candidate, tenant)].includes(iss),
  )
  return settings === undefined ? { found: 'nothing' } : { found: 'unlisted tenant', settings }
}
