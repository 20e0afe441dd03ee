import {
  constants,
  createPrivateKey,
  createPublicKey,
  type KeyObject,
  randomUUID,
  sign,
} from 'node:crypto'
import type { Secret } from '../base/secret.ts'
import { sha256Base64url } from '../base/sha256.ts'

/** A key of the caller that its token is bound to: at the caller, and never at the service. */
export interface DpopKey {
  /** The `DPoP` header of one request (RFC 9449 §4.2). */
  proofFor(request: ProvenRequest): string
}

export interface ProvenRequest {
  readonly method: string
  /** As the service is reached by everybody, without query: `htu`. */
  readonly url: string
  readonly token: Secret<string>
  readonly nowSeconds: number
}

interface ProofAlgorithm {
  readonly alg: string
  readonly hash: string | null
  readonly padding?: number
  readonly saltLength?: number
}

const ps256: ProofAlgorithm = {
  alg: 'PS256',
  hash: 'sha256',
  padding: constants.RSA_PKCS1_PSS_PADDING,
  saltLength: constants.RSA_PSS_SALTLEN_DIGEST,
}

/** By the name of the curve (RFC 7518 §3.4). */
const ofCurves: Readonly<Record<string, ProofAlgorithm>> = {
  prime256v1: { alg: 'ES256', hash: 'sha256' },
  secp384r1: { alg: 'ES384', hash: 'sha384' },
  secp521r1: { alg: 'ES512', hash: 'sha512' },
}

/**
 * @param pem A private key: PKCS #8, or what it had before (PKCS #1, SEC 1), without a password.
 * @throws Error in one sentence that repeats nothing of it.
 */
export function parseDpopKey(pem: string): DpopKey {
  const key = privateKeyIn(pem)
  const algorithm = algorithmOf(key)
  if (algorithm === undefined) {
    throw new Error(
      'its kind of key is not known: make one of EC P-256, P-384 or P-521, Ed25519 or RSA',
    )
  }
  const { alg, hash, ...padding } = algorithm
  const jwk = createPublicKey(key).export({ format: 'jwk' })
  const header = encoded({ typ: 'dpop+jwt', alg, jwk })
  return {
    proofFor: ({ method, url, token, nowSeconds }) => {
      const ath = sha256Base64url(token.reveal())
      // Each counts once.
      const claims = { jti: randomUUID(), htm: method, htu: url, iat: nowSeconds, ath }
      const input = `${header}.${encoded(claims)}`
      const signature = sign(hash, Buffer.from(input), {
        key,
        dsaEncoding: 'ieee-p1363',
        ...padding,
      })
      return `${input}.${signature.toString('base64url')}`
    },
  }
}

function privateKeyIn(pem: string): KeyObject {
  try {
    return createPrivateKey(pem)
  } catch {
    throw new Error('it is no private key in PEM, or has a password')
  }
}

function algorithmOf({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject) {
  if (asymmetricKeyType === 'rsa') return ps256
  if (asymmetricKeyType === 'ed25519') return { alg: 'EdDSA', hash: null }
  return ofCurves[asymmetricKeyDetails?.namedCurve ?? '']
}

const encoded = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
