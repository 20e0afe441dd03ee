import type { X509Certificate } from 'node:crypto'
import type { PrivateAddress } from '../base/address-standing.ts'
import type { ClaimRule } from '../base/claim-rules.ts'
import type { IssuerName, TenantId } from '../base/ids.ts'
import { parsePolicy } from './b2c-policy.ts'
import { parseFetchableUrl } from './json-fetcher.ts'
import type { CallerAlgorithm } from '../base/caller-algorithms.ts'

/** An issuer whose tokens prove callers, as the operator describes it. */
export type IssuerSettings =
  | OpenIdIssuerSettings
  | EntraIssuerSettings
  | EntraB2cSettings
  | AzureDevOpsInEntraSettings
  | SpiffeIssuerSettings

interface CommonSettings {
  readonly name: IssuerName
  /** A token's `aud` must hold it, exactly. At Entra: the App ID URI (v1 tokens) or the client id (v2). */
  readonly audience: string
  /** At least one; a token signed otherwise is refused before its key is looked for. */
  readonly algorithms: readonly CallerAlgorithm[]
  /** What every token of the issuer must claim. Empty: any does, at a public issuer everybody's. */
  readonly require: readonly ClaimRule[]
  /** `exp − iat` at most. A managed identity's tokens say 24 hours and five minutes. */
  readonly maxTokenSeconds: number
  /**
   * Absent: found through discovery, on the issuer's own host (Entra: its tenant-independent v2 keys).
   * Needed where an issuer keeps its keys on another host.
   */
  readonly jwksUri?: string
  /** Whether the host of its keys may be in a private network. Absent: refuse. */
  readonly privateAddress?: PrivateAddress
}

export interface OpenIdIssuerSettings extends CommonSettings {
  readonly kind: 'oidc' | 'github' | 'gitlab' | 'kubernetes' | 'azure-devops'
  /** Exactly as tokens say it in `iss`. */
  readonly issuer: string
}

export interface EntraIssuerSettings extends CommonSettings {
  readonly kind: 'entra'
  /** Origin of the cloud's Entra, and of `iss` in v2 tokens: `https://login.microsoftonline.com`. */
  readonly authority: string
  /** Origin of `iss` in v1 tokens, never contacted: `https://sts.windows.net`. */
  readonly authorityV1: string
  /** Closed list: tokens of other tenants prove nobody. */
  readonly tenants: readonly TenantId[]
}

/** One policy of a tenant of Azure AD B2C. The others have the same `iss`, and keys of their own. */
export interface EntraB2cSettings extends CommonSettings {
  readonly kind: 'entra-b2c'
  /** Exactly as tokens say it in `iss`: `https://contoso.b2clogin.com/TENANT/v2.0/`. */
  readonly issuer: string
  /** `b2c_1_signin`, as the address of its keys has it; compared with tokens without regard to case. */
  readonly policy: string
}

/** Service connections whose tokens Entra issues, in the name of the tenant that the organisation is connected to. */
export interface AzureDevOpsInEntraSettings extends CommonSettings {
  readonly kind: 'azure-devops-in-entra'
  /** Origin of the cloud's Entra, and of `iss`. */
  readonly authority: string
  readonly tenant: TenantId
  /** GUID of the organisation, lower case: others may be connected to that tenant too. */
  readonly organization: string
}

/** A trust domain, whose workloads have JWT-SVIDs (SPIFFE, JWT-SVID): `sub` says whose, and `iss` nothing. */
export interface SpiffeIssuerSettings extends CommonSettings {
  readonly kind: 'spiffe'
  /** `prod.example` */
  readonly trustDomain: string
  /** Of its trust bundle, whose keys for JWT-SVIDs say so. */
  readonly bundleUrl: string
}

/** Which part of a certificate says who its holder is. */
export type CertificateIdentity = 'uri' | 'dns' | 'email' | 'thumbprint'

/** An issuer whose certificates prove callers: its CAs, and nobody else's. */
export interface MtlsIssuerSettings {
  readonly name: IssuerName
  readonly identity: CertificateIdentity
  /** Of the SPIFFE ID that the URI must be; absent: any URI. */
  readonly trustDomain?: string
  /** What every certificate of the issuer must say. */
  readonly require: readonly ClaimRule[]
  /** Each trusted by itself; at least one. */
  readonly anchors: readonly X509Certificate[]
}

/**
 * @throws RangeError for settings that no valid configuration leads to: a mistake of ours, because
 *   what an operator writes is checked and explained before it comes here.
 */
export function assertIssuerSettings(settings: IssuerSettings): void {
  const { name, audience, algorithms, jwksUri, maxTokenSeconds } = settings
  const url = askedUrlOf(settings)
  const fault =
    (audience === '' && 'no audience') ||
    (algorithms.length === 0 && 'no algorithm') ||
    (!(maxTokenSeconds > 0) && 'no lifetime') ||
    (parseFetchableUrl(url) === undefined && 'an issuer that cannot be asked') ||
    (jwksUri !== undefined && parseFetchableUrl(jwksUri) === undefined && 'an unusable jwksUri') ||
    (settings.kind === 'entra' && entraFault(settings)) ||
    (settings.kind === 'entra-b2c' && b2cFault(settings))
  if (fault) throw new RangeError(`issuer ${name}: ${fault}`)
}

function askedUrlOf(settings: IssuerSettings): string {
  if ('authority' in settings) return settings.authority
  return settings.kind === 'spiffe' ? settings.bundleUrl : settings.issuer
}

function b2cFault({ issuer, policy }: EntraB2cSettings): string | false {
  if (!issuer.endsWith('/v2.0/')) return 'an issuer that is none of B2C'
  return parsePolicy(policy) === undefined && 'a policy that is none'
}

function entraFault({ authority, authorityV1, tenants }: EntraIssuerSettings): string | false {
  const origins = [authority, authorityV1].every((url) => URL.parse(url)?.origin === url)
  if (!origins) return 'an authority that is not an origin'
  return tenants.length === 0 && 'no tenant'
}
