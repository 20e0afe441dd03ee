import { createPublicKey, verify } from 'node:crypto'
import type { SigningKey } from '../signing-keys.ts'
import type { WorldFederatedCredential } from '../world.ts'
import { malformed, outsideItsTime } from './client-assertion.ts'
import { type CompactJwt, parseCompactJwt } from './compact-jwt.ts'
import { passed, refused, type Checked } from './refusal.ts'

/** An issuer outside Entra, as its metadata and its JWKS show it. */
export interface FederatedIssuer {
  /** Its `iss`. */
  readonly url: string
  readonly keys: { published(): readonly SigningKey[] }
}

/** By its name in the seed file. */
export type FederatedIssuers = (name: string) => FederatedIssuer | undefined

export interface FederatedExpectation {
  readonly credentials: readonly WorldFederatedCredential[]
  readonly issuers: FederatedIssuers
  readonly skewSeconds: number
  readonly nowSeconds: number
}

/**
 * Verifies a token of somebody else that stands for a client. Issuer, subject and audience are compared
 * exactly; the order of these refusals, and the code of a bad signature, are not documented.
 */
export function verifyFederatedAssertion(
  text: string,
  { credentials, issuers, skewSeconds, nowSeconds }: FederatedExpectation,
): Checked<{ readonly issuer: string }> {
  const jwt = parseCompactJwt(text)
  if (jwt === undefined || 'crit' in jwt.header) return malformed()
  const { iss, sub, aud, exp, nbf } = jwt.claims
  if (typeof iss !== 'string' || typeof sub !== 'string') return malformed()
  if (typeof exp !== 'number' || !(nbf === undefined || typeof nbf === 'number')) return malformed()
  if (jwt.header['alg'] !== 'RS256') {
    return refused(
      5002738,
      `Invalid JWT token. Unsupported algorithm '${String(jwt.header['alg'])}' in the token header, ` +
        "supported are 'RS256'.",
    )
  }

  const ofIssuer = credentials.filter(({ issuer }) => issuers(issuer)?.url === iss)
  const [first] = ofIssuer
  if (first === undefined) return noRecord(700211, 'issuer', iss)
  const ofSubject = ofIssuer.filter(({ subject }) => subject === sub)
  if (ofSubject.length === 0) return noRecord(700213, 'subject', sub)
  const audience: unknown = Array.isArray(aud) && aud.length === 1 ? aud[0] : aud
  if (!ofSubject.some((credential) => credential.audience === audience)) {
    return noRecord(700212, 'audience', String(audience))
  }

  const keys = issuers(first.issuer)?.keys.published() ?? []
  if (!keys.some((key) => isSignedWith(key, jwt))) {
    return refused(700027, 'Client assertion failed signature validation.')
  }
  const isBegun = nbf === undefined || nbf <= nowSeconds + skewSeconds
  if (isBegun && nowSeconds - skewSeconds < exp) return passed({ issuer: iss })
  return outsideItsTime(nbf, exp, nowSeconds)
}

const isSignedWith = (
  { keyId, jwk }: SigningKey,
  { header, signingInput, signature }: CompactJwt,
) =>
  header['kid'] === keyId &&
  verify('sha256', signingInput, createPublicKey({ key: { ...jwk }, format: 'jwk' }), signature)

const noRecord = (
  code: 700211 | 700212 | 700213,
  part: 'issuer' | 'audience' | 'subject',
  presented: string,
) =>
  refused(
    code,
    `No matching federated identity record found for presented assertion ${part} '${presented}'. ` +
      'Please check your federated identity credential Subject, Audience and Issuer against the ' +
      'presented assertion. https://learn.microsoft.com/entra/workload-id/workload-identity-federation',
  )
