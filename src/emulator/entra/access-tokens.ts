import { randomBytes } from 'node:crypto'
import { createLocalJWKSet, errors, jwtVerify, SignJWT, type JSONWebKeySet } from 'jose'
import type { EmulatorClock } from '../emulator-clock.ts'
import type { Previous, SigningKeys } from '../signing-keys.ts'
import type { WorldResource } from '../world.ts'

/** The service principal that a token speaks for. */
export interface TokenSubject {
  /** The tenant whose token endpoint issues, not the application's home. */
  readonly tenantId: string
  readonly clientId: string
  /** Of the service principal in that tenant. */
  readonly objectId: string
  /** ARM resource id; present in tokens of managed identities and in no others. */
  readonly managedIdentityResourceId?: string
}

export interface AccessTokenClaims {
  readonly [claim: string]: unknown
  readonly aud: string
  readonly iss: string
  readonly iat: number
  readonly nbf: number
  readonly exp: number
  readonly tid: string
  readonly oid: string
  readonly sub: string
  readonly idtyp: 'app'
  readonly uti: string
  readonly rh: string
  readonly ver: '1.0' | '2.0'
  /** `appid` and `appidacr` in v1 tokens, `azp` and `azpacr` in v2 tokens. */
  readonly appid?: string
  readonly appidacr?: '2'
  readonly azp?: string
  readonly azpacr?: '2'
  readonly xms_mirid?: string
  /** The client said that it can handle claims challenges, and the token lives for a day. */
  readonly xms_cc?: readonly ['cp1']
  /** On every token of the emulator and on none of Entra's. */
  readonly xms_emulated: true
}

export type AccessTokenVerdict =
  | { readonly ok: true; readonly claims: AccessTokenClaims }
  | { readonly ok: false; readonly reason: 'malformed' | 'signature' | 'expired' | 'not-yet-valid' }
  | { readonly ok: false; readonly reason: 'audience'; readonly found: string }

/** Access tokens of the emulated Entra: real RS256 JWTs with the claims of real ones. */
export interface AccessTokens {
  /** @param longLivedSeconds Of a token of a day; absent: an ordinary one, as long as the resource's are. */
  issue(subject: TokenSubject, resource: WorldResource, longLivedSeconds?: number): Promise<string>
  /**
   * What an Azure service finds out about a bearer token: ours, in time, and meant for it. No skew is
   * allowed, because issuer and verifier share the emulator's clock.
   */
  verify(
    token: string,
    expected: { readonly audience: string | readonly string[] },
  ): Promise<AccessTokenVerdict>
  /** The published keys, without the issuer that Entra writes beside each. */
  jwks(): JSONWebKeySet
  rotate(previous?: Previous): Promise<void>
}

export interface AccessTokensDeps {
  /** Of the emulated Entra, such as `https://localhost:8443`: the start of every `iss`. */
  readonly origin: string
  readonly clock: EmulatorClock
  readonly keys: SigningKeys
}

export function createAccessTokens({ origin, clock, keys }: AccessTokensDeps): AccessTokens {
  const jwks = () => ({ keys: keys.published().map(({ jwk }) => jwk) })
  return {
    jwks,
    issue: async (subject, resource, longLivedSeconds) => {
      const { keyId, privateKey } = keys.current()
      // Real v1 tokens carry the thumbprint twice; v2 tokens only as kid.
      const x5t = resource.accessTokenVersion === 1 ? { x5t: keyId } : {}
      const ordinary = accessTokenClaims(origin, subject, resource, clock.nowSeconds())
      const claims =
        longLivedSeconds === undefined
          ? ordinary
          : { ...ordinary, exp: clock.nowSeconds() + longLivedSeconds, xms_cc: ['cp1'] }
      return new SignJWT(claims)
        .setProtectedHeader({ typ: 'JWT', alg: 'RS256', ...x5t, kid: keyId })
        .sign(privateKey)
    },
    verify: async (token, { audience }) => {
      try {
        const { payload } = await jwtVerify<AccessTokenClaims>(token, createLocalJWKSet(jwks()), {
          algorithms: ['RS256'],
          audience: typeof audience === 'string' ? audience : [...audience],
          currentDate: clock.nowDate(),
        })
        return { ok: true, claims: payload }
      } catch (error) {
        return verdictFrom(error)
      }
    },
    rotate: async (previous = 'published') => {
      await keys.rotate(previous)
    },
  }
}

/** Entra dates its tokens five minutes back, so that a resource whose clock is behind accepts them. */
const backdatedSeconds = 300

/** Claims of an app-only access token, in the version that the resource asks for. */
function accessTokenClaims(
  origin: string,
  subject: TokenSubject,
  resource: WorldResource,
  nowSeconds: number,
): AccessTokenClaims {
  const { tenantId, clientId, objectId, managedIdentityResourceId } = subject
  const common = {
    iat: nowSeconds - backdatedSeconds,
    nbf: nowSeconds - backdatedSeconds,
    exp: nowSeconds + resource.tokenSeconds,
    aio: randomBytes(33).toString('base64url'),
    idtyp: 'app',
    oid: objectId,
    rh: `1.${randomBytes(48).toString('base64url')}.`,
    sub: objectId,
    tid: tenantId,
    uti: randomBytes(16).toString('base64url'),
    xms_emulated: true,
    ...(managedIdentityResourceId === undefined ? {} : { xms_mirid: managedIdentityResourceId }),
  } as const
  // '2': authenticated with a certificate; managed identities have no other way either.
  if (resource.accessTokenVersion === 2) {
    const iss = issuerV2(origin, tenantId)
    return { aud: resource.clientId, iss, azp: clientId, azpacr: '2', ...common, ver: '2.0' }
  }
  const iss = issuerV1(origin, tenantId)
  return {
    aud: uriOf(resource),
    iss,
    idp: iss,
    appid: clientId,
    appidacr: '2',
    ...common,
    ver: '1.0',
  }
}

/** Entra's own is `https://sts.windows.net/{tenant}/`; the slash belongs to it. */
export const issuerV1 = (origin: string, tenantId: string) => `${origin}/${tenantId}/`

export const issuerV2 = (origin: string, tenantId: string) => `${origin}/${tenantId}/v2.0`

function uriOf(resource: WorldResource): string {
  const [uri] = resource.uris
  if (uri === undefined) throw new TypeError('the seed file gives every resource a URI')
  return uri
}

/** @throws whatever is no finding about the token. */
function verdictFrom(error: unknown): AccessTokenVerdict {
  if (error instanceof errors.JWTExpired) return { ok: false, reason: 'expired' }
  if (error instanceof errors.JWTClaimValidationFailed) {
    if (error.claim === 'nbf') return { ok: false, reason: 'not-yet-valid' }
    if (error.claim === 'aud') {
      return { ok: false, reason: 'audience', found: [error.payload.aud ?? ''].flat().join(' ') }
    }
  }
  if (
    error instanceof errors.JWSSignatureVerificationFailed ||
    error instanceof errors.JWKSNoMatchingKey
  ) {
    return { ok: false, reason: 'signature' }
  }
  if (error instanceof errors.JOSEError) return { ok: false, reason: 'malformed' }
  throw error
}
