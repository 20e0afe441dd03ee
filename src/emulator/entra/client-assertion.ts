import { constants, verify } from 'node:crypto'
import { isoFrom } from '../emulator-clock.ts'
import { issuerV1, issuerV2 } from './access-tokens.ts'
import type { RegisteredCertificate } from './application-certificates.ts'
import { parseCompactJwt, type CompactJwt, type JsonObject } from './compact-jwt.ts'
import type { AudienceForm, TokenEndpointDials } from './dials.ts'
import { passed, refused, type Checked } from './refusal.ts'

/** What an assertion is held against. */
export interface AssertionExpectation {
  readonly origin: string
  readonly tenantId: string
  readonly clientId: string
  readonly certificates: readonly RegisteredCertificate[]
  readonly dials: TokenEndpointDials
  readonly nowMs: number
}

export interface VerifiedAssertion {
  readonly certificate: RegisteredCertificate
  readonly jwtId: string | undefined
  readonly expiresAtSeconds: number
}

/**
 * Verifies a client assertion: its form, whose it is, by which key, its signature, its place and its
 * time. The order matters only where several things are wrong, and Entra's own is not documented. Pure,
 * so replay is not its business.
 */
export function verifyClientAssertion(
  text: string,
  expected: AssertionExpectation,
): Checked<VerifiedAssertion> {
  const jwt = parseCompactJwt(text)
  // RFC 7515 §4.1.11: who understands no extension must refuse every `crit`.
  if (jwt === undefined || 'crit' in jwt.header) return malformed()

  const scheme = parseScheme(jwt.header, expected.dials)
  if (!scheme.ok) return scheme
  const claims = parseAssertionClaims(jwt.claims)
  if (!claims.ok) return claims
  const { iss, sub, aud, nbf, exp, jti } = claims.value
  if (!sameGuid(iss, expected.clientId) || !sameGuid(sub, expected.clientId)) {
    const text = "Client assertion application identifier doesn't match 'client_id' parameter."
    return refused(700021, `${text} ${review}`)
  }

  const certificate = findCertificate(jwt.header, expected)
  if (!certificate.ok) return certificate
  if (!signatureVerifies(jwt, scheme.value, certificate.value)) {
    return badSignature(certificate.value, expected.clientId)
  }

  if (!audienceAccepted(aud, expected)) {
    return refused(700023, `Client assertion audience claim does not match Realm issuer. ${review}`)
  }
  if (!isInTime(nbf, exp, expected)) return outsideItsTime(nbf, exp, expected.nowMs / 1000)
  return passed({ certificate: certificate.value, jwtId: jti, expiresAtSeconds: exp })
}

/** How one `alg` signs: the digest, and the padding that makes it RSxxx or PSxxx. */
interface Scheme {
  readonly digest: 'sha256' | 'sha384' | 'sha512'
  readonly padding: 'pkcs1' | 'pss'
}

const schemes: ReadonlyMap<unknown, Scheme> = new Map<unknown, Scheme>([
  ['PS256', { digest: 'sha256', padding: 'pss' }],
  ['PS384', { digest: 'sha384', padding: 'pss' }],
  ['PS512', { digest: 'sha512', padding: 'pss' }],
  ['RS256', { digest: 'sha256', padding: 'pkcs1' }],
  ['RS384', { digest: 'sha384', padding: 'pkcs1' }],
  ['RS512', { digest: 'sha512', padding: 'pkcs1' }],
])

function parseScheme(header: JsonObject, dials: TokenEndpointDials): Checked<Scheme> {
  const { alg, typ } = header
  const scheme = schemes.get(alg)
  if (scheme === undefined) {
    const supported = [...schemes.keys()].join(', ')
    return refused(
      5002738,
      `Invalid JWT token. Unsupported algorithm '${String(alg)}' in the token header, ` +
        `supported are '${supported}'.`,
    )
  }
  if (dials.typ === 'jwt' && typ !== undefined && typ !== 'JWT') {
    return refused(5002727, "Invalid JWT header: the 'typ' is not one that is accepted.")
  }
  return passed(scheme)
}

interface AssertionClaims {
  readonly iss: string
  readonly sub: string
  readonly aud: unknown
  readonly exp: number
  readonly nbf: number | undefined
  readonly jti: string | undefined
}

function parseAssertionClaims(claims: JsonObject): Checked<AssertionClaims> {
  for (const required of ['iss', 'sub', 'aud', 'exp']) {
    if (claims[required] === undefined) {
      return refused(90014, `The required field '${required}' is missing from the credential.`)
    }
  }
  const { iss, sub, aud, exp, nbf, jti } = claims
  if (typeof iss !== 'string' || typeof sub !== 'string') return malformed()
  if (!isNumericDate(exp) || !(nbf === undefined || isNumericDate(nbf))) return malformed()
  if (!(jti === undefined || typeof jti === 'string')) return malformed()
  return passed({ iss, sub, aud, exp, nbf, jti })
}

/** Seconds, perhaps with a fraction (RFC 7519 §2), up to the last instant that has a date. */
const isNumericDate = (value: unknown): value is number =>
  typeof value === 'number' && Math.abs(value) <= 8.64e12

/** Where both thumbprints are given, both must fit; `kid` counts only where there is none. */
function findCertificate(
  header: JsonObject,
  { certificates, clientId, dials, nowMs }: AssertionExpectation,
): Checked<RegisteredCertificate> {
  const { x5t, 'x5t#S256': x5tS256, kid } = header
  const byThumbprint = x5t !== undefined || x5tS256 !== undefined
  if (!byThumbprint && (kid === undefined || dials.keyIdOnly === 'refused')) {
    return refused(
      5002723,
      'Invalid JWT token. No certificate thumbprint (x5t or x5t#S256) nor keyId specified in ' +
        'token header.',
    )
  }
  const certificate = certificates.find((one) =>
    byThumbprint
      ? (x5t === undefined || x5t === one.x5t) && (x5tS256 === undefined || x5tS256 === one.x5tS256)
      : keyIds(one).includes(String(kid)),
  )
  if (certificate === undefined) return unknownKey(header, clientId)
  const { notBeforeMs, notAfterMs } = certificate
  if (nowMs > notAfterMs) {
    return refused(
      700027,
      'Client assertion contains an invalid signature. [Reason - The key used is expired., ' +
        `${keyFacts(certificate)}, ${configuredKeys(clientId)}]`,
    )
  }
  if (nowMs < notBeforeMs) {
    const text = 'The certificate used is outside its validity window.'
    return refused(1000502, `${text} ${keyFacts(certificate)}.`)
  }
  return passed(certificate)
}

const keyIds = ({ x5t, x5tS256 }: RegisteredCertificate) => [
  x5t,
  x5tS256,
  hexOf(x5t),
  hexOf(x5tS256),
]

function signatureVerifies(
  { signingInput, signature }: CompactJwt,
  { digest, padding }: Scheme,
  { publicKey }: RegisteredCertificate,
): boolean {
  const key =
    padding === 'pkcs1'
      ? { key: publicKey, padding: constants.RSA_PKCS1_PADDING }
      : {
          key: publicKey,
          padding: constants.RSA_PKCS1_PSS_PADDING,
          // RFC 7518 §3.5: the salt is as long as the digest, and no other length will do.
          saltLength: constants.RSA_PSS_SALTLEN_DIGEST,
        }
  return verify(digest, signingInput, key, signature)
}

const audienceForms: Record<AudienceForm, (origin: string, tenantId: string) => string> = {
  'v2-token-endpoint': (origin, tenantId) => `${origin}/${tenantId}/oauth2/v2.0/token`,
  'v1-token-endpoint': (origin, tenantId) => `${origin}/${tenantId}/oauth2/token`,
  'v2-issuer': issuerV2,
  'v1-issuer': issuerV1,
}

function audienceAccepted(
  aud: unknown,
  { dials, origin, tenantId }: AssertionExpectation,
): boolean {
  const isArrayOfOne = Array.isArray(aud) && aud.length === 1
  const only: unknown = isArrayOfOne && dials.audienceArray === 'accepted' ? aud[0] : aud
  return dials.audiences.some((form) => audienceForms[form](origin, tenantId) === only)
}

function isInTime(
  nbf: number | undefined,
  exp: number,
  { dials, nowMs }: AssertionExpectation,
): boolean {
  const nowSeconds = nowMs / 1000
  const begun = nbf === undefined || nbf <= nowSeconds + dials.skewSeconds
  return begun && nowSeconds - dials.skewSeconds < exp
}

const review =
  'Review the documentation at ' +
  'https://learn.microsoft.com/entra/identity-platform/certificate-credentials .'

export const malformed = () => refused(50027, 'JWT token is invalid or malformed.')

function badSignature(certificate: RegisteredCertificate, clientId: string) {
  const reason = 'Key was found, but use of the key to verify the signature failed.'
  return refused(
    700027,
    `Client assertion contains an invalid signature. [Reason - ${reason}, ` +
      `${keyFacts(certificate)}, ${configuredKeys(clientId)}]`,
  )
}

/** Live answers show the thumbprint of an x5t, and nothing of a kid. */
function unknownKey({ x5t, 'x5t#S256': x5tS256 }: JsonObject, clientId: string) {
  const thumbprint = x5tS256 ?? x5t
  const shown =
    typeof thumbprint === 'string'
      ? `Thumbprint of key used by client: '${hexOf(thumbprint)}', `
      : ''
  return refused(
    700027,
    'The certificate with identifier used to sign the client assertion is not registered on ' +
      `application. [Reason - The key was not found., ${shown}${configuredKeys(clientId)}]`,
  )
}

const keyFacts = ({ x5t, notBeforeMs, notAfterMs }: RegisteredCertificate) =>
  `Thumbprint of key used by client: '${hexOf(x5t)}', ` +
  `Found key 'Start=${usDateOf(notBeforeMs)}, End=${usDateOf(notAfterMs)}'`

/** `08/18/2024 19:33:23`, as keys are dated in these sentences. */
const usDateOf = (epochMs: number) =>
  isoFrom(epochMs / 1000).replace(/^(.+)-(\d\d)-(\d\d)T(.{8}).*$/, '$2/$3/$1 $4')

const configuredKeys = (clientId: string) =>
  'Please visit the Azure Portal, Graph Explorer or directly use MS Graph to see configured keys ' +
  `for app Id '${clientId}'.`

export const outsideItsTime = (nbf: number | undefined, exp: number, nowSeconds: number) =>
  refused(
    700024,
    `Client assertion is not within its valid time range. Current time: ${isoFrom(nowSeconds)}, ` +
      // Without nbf Entra prints the epoch.
      `assertion valid from ${isoFrom(nbf ?? 0)}, ` +
      `expiry time of assertion ${isoFrom(exp)}. ${review}`,
  )

/** Thumbprints are base64url in headers and upper-case hexadecimal in sentences. */
const hexOf = (base64url: string) =>
  Buffer.from(base64url, 'base64url').toString('hex').toUpperCase()

const sameGuid = (one: string, other: string) => one.toLowerCase() === other.toLowerCase()
