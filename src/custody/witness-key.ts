import type { KeyObject } from 'node:crypto'
import { canonicalJson, type Json } from '../base/canonical-json.ts'
import { sha256Base64url } from '../base/sha256.ts'
import type { WitnessAlgorithm } from './witnessed-head.ts'

/** A key of the witness, which neither the service nor its operator has. */
export interface WitnessKey {
  /** As what it signs says: the thumbprint of the key (RFC 7638). */
  readonly keyId: string
  readonly algorithm: WitnessAlgorithm
  /**
   * @param signingInput ASCII of the first two parts of a JWS (RFC 7515 §5.1).
   * @throws WitnessKeyError when whoever holds the key does not sign.
   */
  sign(signingInput: string): Promise<Uint8Array>
}

export type WitnessKeyErrorCode =
  | 'WITNESS_KEY_UNREADABLE' // no such file, or not for us
  | 'WITNESS_KEY_UNFIT' // no private key, or of a kind that no witness has
  | 'WITNESS_KEY_VAULT' // the vault that holds it does not give or use it: the cause says why

export class WitnessKeyError extends Error {
  override readonly name = 'WitnessKeyError'
  readonly code: WitnessKeyErrorCode

  constructor(code: WitnessKeyErrorCode, options?: ErrorOptions) {
    super(code, options)
    this.code = code
  }
}

/** RFC 7638: SHA-256 over the members that a key of its kind must have. */
export function thumbprintOf(publicKey: KeyObject): string {
  const { kty = '', n, e, crv, x } = publicKey.export({ format: 'jwk' })
  const required: Json = kty === 'RSA' ? { e, kty, n } : { crv, kty, x }
  return sha256Base64url(canonicalJson(required))
}
