import { createHash, generateKeyPair, type KeyObject } from 'node:crypto'
import { promisify } from 'node:util'
import type { JWK } from 'jose'
import { z } from 'zod'

/** An RSA key that signs tokens of an emulated issuer, with the public JWK that its JWKS shows. */
export interface SigningKey {
  readonly keyId: string
  readonly privateKey: KeyObject
  /** Public members only, `kid` and `use` included. */
  readonly jwk: JWK
}

export interface SigningKeys {
  /** The key that signs from now on. */
  current(): SigningKey
  /** The keys that the JWKS shows, newest first; never more than three. */
  published(): readonly SigningKey[]
  /**
   * Signs with a new key from now on.
   *
   * @param previous `withdrawn` takes the older keys out of the JWKS at once, so that tokens they
   *   signed no longer verify: what a compromised issuer does.
   */
  rotate(previous: Previous): Promise<SigningKey>
}

export type Previous = 'published' | 'withdrawn'

/** How the control interface orders a rotation. */
export const rotationSchema = z
  .strictObject({ previous: z.enum(['published', 'withdrawn']).default('published') })
  .default({ previous: 'published' })

/** Entra, GitHub and GitLab show between two and five; an endless list would only hide stale keys. */
const publishedMax = 3

export async function createSigningKeys(
  generate: () => Promise<SigningKey> = generateSigningKey,
): Promise<SigningKeys> {
  let published: readonly SigningKey[] = [await generate()]
  return {
    current: () => {
      const [current] = published
      if (current === undefined) throw new TypeError('a rotation always publishes the new key')
      return current
    },
    published: () => published,
    rotate: async (previous) => {
      const next = await generate()
      published = previous === 'withdrawn' ? [next] : [next, ...published].slice(0, publishedMax)
      return next
    },
  }
}

/** A fresh RSA 2048 key whose id is the SHA-256 of its public half. */
export async function generateSigningKey(): Promise<SigningKey> {
  const { publicKey, privateKey } = await generateRsaKeyPair()
  const spki = publicKey.export({ type: 'spki', format: 'der' })
  const keyId = createHash('sha256').update(spki).digest('base64url')
  return { keyId, privateKey, jwk: { ...publicJwk(publicKey), kid: keyId, use: 'sig' } }
}

export const generateRsaKeyPair = (): Promise<{ publicKey: KeyObject; privateKey: KeyObject }> =>
  promisify(generateKeyPair)('rsa', { modulusLength: 2048 })

/** `kty`, `n` and `e` of an RSA public key. */
export const publicJwk = (publicKey: KeyObject): JWK => publicKey.export({ format: 'jwk' })
