import type { AccessTokens } from '../entra/access-tokens.ts'
import {
  tokenAudience,
  tokenExpired,
  tokenIssuer,
  tokenMalformed,
  tokenMissing,
  tokenNotYetValid,
  tokenSignature,
  type VaultError,
} from './vault-error.ts'

/** The principal whose token came with a request, as its claims say. */
export interface VaultCaller {
  readonly objectId: string
  readonly applicationId: string
  /** `appidacr` of the token: 2 for a certificate or an assertion. */
  readonly authenticationClass: string
  readonly issuer: string
  readonly managedIdentityResourceId: string | undefined
}

export type Authentication =
  | { readonly ok: true; readonly caller: VaultCaller }
  | { readonly ok: false; readonly error: VaultError }

/** What tokens are for when they are for a vault; the first is named in challenges. */
const audiences = [
  'https://vault.azure.net',
  'https://vault.azure.net/',
  'cfa8b339-82a2-471a-a3c9-0fc0be7a4093',
] as const
const [resource] = audiences

/** The `WWW-Authenticate` of every 401: where to get a token, and for which resource. */
export const challengeOf = (authorityOrigin: string, tenantId: string) =>
  `Bearer authorization="${authorityOrigin}/${tenantId}", resource="${resource}"`

/**
 * Proves a bearer token before anything else of the request is looked at.
 *
 * @param tenantId The vault's own: tokens of other tenants are refused, whoever they speak for.
 */
export async function authenticate(
  authorization: string | undefined,
  tenantId: string,
  accessTokens: Pick<AccessTokens, 'verify'>,
): Promise<Authentication> {
  const token = /^bearer +(\S+)$/i.exec(authorization ?? '')?.[1]
  if (token === undefined) return { ok: false, error: tokenMissing }
  const verdict = await accessTokens.verify(token, { audience: audiences })
  if (!verdict.ok) return { ok: false, error: errorFrom(verdict) }
  const { claims } = verdict
  if (claims.tid !== tenantId) {
    const expected = claims.iss.replace(claims.tid, tenantId)
    return { ok: false, error: tokenIssuer(expected, claims.iss) }
  }
  return {
    ok: true,
    caller: {
      objectId: claims.oid,
      applicationId: claims.appid ?? claims.azp ?? '',
      authenticationClass: claims.appidacr ?? claims.azpacr ?? '',
      issuer: claims.iss,
      managedIdentityResourceId: claims.xms_mirid,
    },
  }
}

type Refused = Extract<Awaited<ReturnType<AccessTokens['verify']>>, { ok: false }>

function errorFrom(verdict: Refused): VaultError {
  switch (verdict.reason) {
    case 'audience':
      return tokenAudience(resource, verdict.found)
    case 'expired':
      return tokenExpired
    case 'not-yet-valid':
      return tokenNotYetValid
    case 'signature':
      return tokenSignature
    case 'malformed':
      return tokenMalformed
  }
}
