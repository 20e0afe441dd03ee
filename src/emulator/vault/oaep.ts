import { constants, privateDecrypt, publicEncrypt, type KeyObject } from 'node:crypto'

/** RSAES-OAEP (RFC 8017 §7.1) under the names of RFC 7518 §4.3; the mask is made with the same hash. */
const schemes = {
  'RSA-OAEP': { hash: 'sha1', hashBytes: 20 },
  'RSA-OAEP-256': { hash: 'sha256', hashBytes: 32 },
} as const

export type EncryptionAlgorithm = keyof typeof schemes

export const isEncryptionAlgorithm = (text: string): text is EncryptionAlgorithm =>
  Object.hasOwn(schemes, text)

/** How much the algorithm encrypts with a key of so many bits (RFC 8017 §7.1.1). */
export const plaintextBytesMax = (algorithm: EncryptionAlgorithm, keyBits: number): number =>
  keyBits / 8 - 2 * schemes[algorithm].hashBytes - 2

/** @param plaintext At most {@link plaintextBytesMax} bytes: callers check it first, to refuse in their words. */
export function encryptOaep(
  algorithm: EncryptionAlgorithm,
  plaintext: Buffer,
  publicKey: KeyObject,
): Buffer {
  return publicEncrypt({ key: publicKey, ...optionsOf(algorithm) }, plaintext)
}

/**
 * Undefined for what was not encrypted with this key and algorithm: as long as the key, to begin with
 * (RFC 8017 §7.1.2, step 1b), which OpenSSL does not ask of a ciphertext that begins with zeros.
 */
export function decryptOaep(
  algorithm: EncryptionAlgorithm,
  ciphertext: Buffer,
  privateKey: KeyObject,
): Buffer | undefined {
  const keyBits = privateKey.asymmetricKeyDetails?.modulusLength
  if (ciphertext.length * 8 !== keyBits) return undefined
  try {
    return privateDecrypt({ key: privateKey, ...optionsOf(algorithm) }, ciphertext)
  } catch {
    // OpenSSL throws when the padding is not what it should be, which is the answer.
    return undefined
  }
}

const optionsOf = (algorithm: EncryptionAlgorithm) => ({
  padding: constants.RSA_PKCS1_OAEP_PADDING,
  oaepHash: schemes[algorithm].hash,
})
