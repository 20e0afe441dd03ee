import { createHash, randomUUID } from 'node:crypto'
import {
  calculateJwkThumbprint,
  exportJWK,
  generateKeyPair,
  SignJWT,
  type JWK,
  type JWTHeaderParameters,
  type JWTPayload,
} from 'jose'
import type { CallerAlgorithm } from '../../src/base/caller-algorithms.ts'

/** What a proof is about. */
export interface ProofTarget {
  readonly token: string
  readonly htm: string
  readonly htu: string
  readonly nowSeconds: number
}

/** A client that proves its key for each request (RFC 9449 §4.2), or does it wrong. */
export interface DpopClient {
  /** `jkt` of tokens that are bound to it. */
  readonly thumbprint: string
  readonly jwk: JWK
  readonly privateJwk: JWK
  proof(
    target: ProofTarget,
    changes?: { readonly claims?: JWTPayload; readonly header?: Partial<JWTHeaderParameters> },
  ): Promise<string>
}

export async function createDpopClient(alg: CallerAlgorithm = 'ES256'): Promise<DpopClient> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true })
  const jwk = await exportJWK(publicKey)
  return {
    thumbprint: await calculateJwkThumbprint(jwk),
    jwk,
    privateJwk: await exportJWK(privateKey),
    proof: ({ token, htm, htu, nowSeconds }, { claims = {}, header = {} } = {}) =>
      new SignJWT({
        jti: randomUUID(),
        htm,
        htu,
        iat: nowSeconds,
        ath: createHash('sha256').update(token).digest('base64url'),
        ...claims,
      })
        .setProtectedHeader({ alg, typ: 'dpop+jwt', jwk, ...header })
        .sign(privateKey),
  }
}
