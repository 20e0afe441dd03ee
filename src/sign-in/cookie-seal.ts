import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'
import type { Secret } from '../base/secret.ts'

/**
 * Seals what a browser keeps for us: nobody but whoever has the key can read it, make it or change it. AES-256-GCM with
 * a random nonce each time; a key seals far fewer than the 2³² values that a random nonce is good for.
 */
export interface CookieSeal {
  seal(value: object): string
  /** Undefined for whatever was not sealed with this key. */
  open(sealed: string): unknown
}

const algorithm = 'aes-256-gcm'
const keyBytes = 32
const nonceBytes = 12
const tagBytes = 16

/**
 * @param secret Of which the key is made, so that replicas which share it open what others have sealed. Undefined: a key
 *   of this process.
 * @param context Whatever changes it makes all that was sealed before worthless.
 */
export function createCookieSeal(secret: Secret<string> | undefined, context: string): CookieSeal {
  const key =
    secret === undefined
      ? randomBytes(keyBytes)
      : Buffer.from(hkdfSync('sha256', secret.reveal(), 'countersign audit', context, keyBytes))
  return {
    seal: (value) => {
      const nonce = randomBytes(nonceBytes)
      const cipher = createCipheriv(algorithm, key, nonce)
      const sealed = Buffer.concat([cipher.update(JSON.stringify(value)), cipher.final()])
      return Buffer.concat([nonce, sealed, cipher.getAuthTag()]).toString('base64url')
    },
    open: (sealed) => {
      const bytes = Buffer.from(sealed, 'base64url')
      if (bytes.length <= nonceBytes + tagBytes) return undefined
      const decipher = createDecipheriv(algorithm, key, bytes.subarray(0, nonceBytes), {
        authTagLength: tagBytes,
      })
      decipher.setAuthTag(bytes.subarray(-tagBytes))
      try {
        const text = Buffer.concat([
          decipher.update(bytes.subarray(nonceBytes, -tagBytes)),
          decipher.final(),
        ])
        return JSON.parse(text.toString()) as unknown
      } catch {
        return undefined
      }
    },
  }
}
