import type { ClientId } from '../base/ids.ts'
import { Secret } from '../base/secret.ts'
import type { SignatureAlgorithm } from '../base/signing-key.ts'

/**
 * How an identity provider wants its client assertions. `entra` is what Entra documents today (PS256,
 * `x5t#S256`), `entra-legacy` what older tools still send (RS256, `x5t`).
 *
 * @see "Microsoft identity platform application authentication certificate credentials"
 */
export type AssertionProfile = 'entra' | 'entra-legacy'

interface ProfileRules {
  readonly algorithm: SignatureAlgorithm
  readonly typ: string
  readonly selector: 'x5t#S256' | 'x5t'
}

/** Algorithm and header come from this one table, never from a request. */
const profiles: Record<AssertionProfile, ProfileRules> = {
  entra: { algorithm: 'PS256', typ: 'JWT', selector: 'x5t#S256' },
  'entra-legacy': { algorithm: 'RS256', typ: 'JWT', selector: 'x5t' },
}

/** Ours, not Entra's: a leaked assertion is useless after this. */
export const assertionLifetimeDefaultSeconds = 300
/** Ours, not Entra's, which advises 5 to 10 minutes and enforces nothing. */
export const assertionLifetimeMaxSeconds = 600

/** What a header says about the certificate; its thumbprints are base64url. */
export interface AssertionCertificate {
  readonly thumbprintSha1: string
  readonly thumbprintSha256: string
  readonly der: Buffer
}

/** The part that is the same in every assertion of one application and certificate version. */
export interface AssertionHeader {
  readonly algorithm: SignatureAlgorithm
  /** base64url of the JWS protected header (RFC 7515 §7.1). */
  readonly encoded: string
}

/**
 * The protected header of a profile for one certificate. Pure.
 *
 * @param x5c `include` adds the certificate itself, for applications that trust issuers by subject
 *   name (RFC 7515 §4.1.6); the chain above it is not kept by the certificate interface.
 */
export function assertionHeader(
  profile: AssertionProfile,
  certificate: AssertionCertificate,
  x5c: 'include' | 'omit',
): AssertionHeader {
  const { algorithm, typ, selector } = profiles[profile]
  const thumbprint = selector === 'x5t' ? certificate.thumbprintSha1 : certificate.thumbprintSha256
  const header = {
    alg: algorithm,
    typ,
    [selector]: thumbprint,
    ...(x5c === 'include' ? { x5c: [certificate.der.toString('base64')] } : {}),
  }
  return { algorithm, encoded: base64urlJson(header) }
}

/** Everything that is signed, except the header. */
export interface ClientAssertionClaims {
  readonly clientId: ClientId
  /** The token endpoint that the assertion is for; it names the tenant. */
  readonly audience: string
  /** Unique: the ledger joins on it. */
  readonly jwtId: string
  /** Seconds since the Unix epoch, UTC (RFC 7519 §2, NumericDate). */
  readonly nowSeconds: number
  /** 1–{@link assertionLifetimeMaxSeconds}; the ceiling is ours. */
  readonly lifetimeSeconds: number
}

/** An assertion that lacks its signature. */
export interface UnsignedAssertion {
  readonly algorithm: SignatureAlgorithm
  /** ASCII of header and payload (RFC 7515 §5.1): what is hashed and signed. */
  readonly signingInput: string
  /** `exp`, seconds. */
  readonly expiresAtSeconds: number
}

/**
 * Header and claims of a client assertion for one token endpoint. Pure: the caller's clock decides.
 *
 * @throws RangeError for a lifetime outside 1–600: a mistake of ours, never of a caller.
 * @see RFC 7523 §3 for iss, sub, aud, exp; jti is optional there and required here.
 */
export function buildClientAssertion(
  header: AssertionHeader,
  claims: ClientAssertionClaims,
): UnsignedAssertion {
  const { clientId, audience, jwtId, nowSeconds, lifetimeSeconds } = claims
  if (!(lifetimeSeconds >= 1 && lifetimeSeconds <= assertionLifetimeMaxSeconds)) {
    throw new RangeError(`lifetimeSeconds must be 1 to ${assertionLifetimeMaxSeconds}`)
  }
  const expiresAtSeconds = nowSeconds + lifetimeSeconds
  const payload = base64urlJson({
    aud: audience,
    iss: clientId,
    sub: clientId,
    jti: jwtId,
    nbf: nowSeconds,
    iat: nowSeconds,
    exp: expiresAtSeconds,
  })
  return {
    algorithm: header.algorithm,
    signingInput: `${header.encoded}.${payload}`,
    expiresAtSeconds,
  }
}

/** The compact form (RFC 7515 §7.1): from here on it is a credential, so it is wrapped. */
export function compactAssertion(
  unsigned: UnsignedAssertion,
  signature: Uint8Array,
): Secret<string> {
  return new Secret(`${unsigned.signingInput}.${Buffer.from(signature).toString('base64url')}`)
}

const base64urlJson = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
