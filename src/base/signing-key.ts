import type { KeyObject } from 'node:crypto'

/** How a signature is made (RFC 7518 §3.1); both are over SHA-256, so the vault is sent 32 bytes. */
export type SignatureAlgorithm = 'PS256' | 'RS256'

/**
 * One version of a key that a vault holds: a name for it and its public half. The private half has
 * no representation in the product.
 */
export interface SigningKey {
  /** `https://{vault}/keys/{name}/{version}`: always with its version, so what signs is never "current". */
  readonly keyId: string
  readonly publicKey: KeyObject
  /** What holds the private half: a vault has a budget of its own for each of the two. */
  readonly heldBy: 'hsm' | 'software'
  /** The vault refuses to sign before this; absent when the key has no beginning. */
  readonly notBeforeSeconds: number | undefined
  /** The vault refuses to sign from then on; absent when the key has no end. */
  readonly notAfterSeconds: number | undefined
}
