import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { type DataKey, generationMax } from './data-key.ts'

/** What a message is sealed for: it opens for exactly this, and as nothing else. */
export interface SealedFor {
  /** The one text of what it is kept under, whole: two things have the same text only if they are the same. */
  readonly key: string
  /** Whole seconds since the Unix epoch. */
  readonly expiresAtSeconds: number
}

export type Opened =
  | { readonly ok: true; readonly plaintext: Buffer }
  /** Not in a form that this version writes. */
  | { readonly ok: false; readonly reason: 'malformed' }
  /** Written by nobody who has the data key, or moved from where it was. */
  | { readonly ok: false; readonly reason: 'altered' }

/**
 * The layout: version, generation of the data key (four bytes, the highest first), nonce, ciphertext,
 * tag. The version stands for everything below, and changes with any of it.
 */
const version = 1
const nonceAt = 5
/** 96 bits: what GCM is made for (NIST SP 800-38D §5.2.1.1). */
const nonceBytes = 12
const ciphertextAt = nonceAt + nonceBytes
const tagBytes = 16
const cipher = 'aes-256-gcm'

/**
 * Encrypts so that neither the message nor anything of what it is sealed for can be changed unseen.
 *
 * Each message has a random nonce: replicas need not agree on one, and two messages of one data key
 * have the same with a probability below 2⁻³² as long as there are no more than 2³² of them (NIST SP
 * 800-38D §8.2.2 and §8.3). To keep well below is up to whoever chooses the data key.
 *
 * @throws RangeError for an expiry that is no whole number, or a key that is no Unicode text.
 */
export function seal(dataKey: DataKey, sealedFor: SealedFor, plaintext: Uint8Array): Buffer {
  const { generation, secret } = dataKey
  const nonce = randomBytes(nonceBytes)
  const encryption = createCipheriv(cipher, secret, nonce, { authTagLength: tagBytes })
  encryption.setAAD(associatedData(generation, sealedFor))
  const ciphertext = Buffer.concat([encryption.update(plaintext), encryption.final()])
  return Buffer.concat([header(generation), nonce, ciphertext, encryption.getAuthTag()])
}

/** The generation of the data key that opens it; undefined when it is not in our form. */
export function generationOf(sealed: Buffer): number | undefined {
  if (sealed.length < ciphertextAt + tagBytes || sealed.readUInt8() !== version) return undefined
  const generation = sealed.readUInt32BE(1)
  return generation >= 1 && generation <= generationMax ? generation : undefined
}

/** @param dataKey Of the generation that {@link generationOf} says; another one opens nothing. */
export function open(dataKey: DataKey, sealedFor: SealedFor, sealed: Buffer): Opened {
  const generation = generationOf(sealed)
  if (generation === undefined) return { ok: false, reason: 'malformed' }
  if (generation !== dataKey.generation) return { ok: false, reason: 'altered' }
  const nonce = sealed.subarray(nonceAt, ciphertextAt)
  const decryption = createDecipheriv(cipher, dataKey.secret, nonce, { authTagLength: tagBytes })
  decryption.setAAD(associatedData(generation, sealedFor))
  decryption.setAuthTag(sealed.subarray(-tagBytes))
  const ciphertext = sealed.subarray(ciphertextAt, -tagBytes)
  try {
    return {
      ok: true,
      plaintext: Buffer.concat([decryption.update(ciphertext), decryption.final()]),
    }
  } catch {
    // The tag does not fit, which is the answer; GCM knows no other way to fail here.
    return { ok: false, reason: 'altered' }
  }
}

function header(generation: number): Buffer {
  const bytes = Buffer.alloc(nonceAt)
  bytes.writeUInt8(version)
  bytes.writeUInt32BE(generation, 1)
  return bytes
}

/** Each part behind its own length, so that no end of one passes for the beginning of the next. */
function associatedData(generation: number, { key, expiresAtSeconds }: SealedFor): Buffer {
  if (!key.isWellFormed()) throw new RangeError('a key with a lone surrogate has no UTF-8')
  if (!Number.isSafeInteger(expiresAtSeconds)) throw new RangeError('an expiry in whole seconds')
  const parts = [`countersign sealed ${version}`, key, `${expiresAtSeconds}`, `${generation}`]
  return Buffer.concat(
    parts.flatMap((part) => {
      const bytes = Buffer.from(part, 'utf8')
      const length = Buffer.alloc(4)
      length.writeUInt32BE(bytes.length)
      return [length, bytes]
    }),
  )
}
