import {
  constants,
  createHash,
  privateEncrypt,
  publicDecrypt,
  randomBytes,
  timingSafeEqual,
  type KeyObject,
} from 'node:crypto'

/**
 * RSA signatures over a digest that somebody else has made, as a vault makes them (RFC 8017 §8).
 * `crypto.sign` cannot: it hashes what it is given, and pads a ready-made digest in no way that a
 * verifier of RS256 or PS256 accepts.
 */

interface Scheme {
  readonly padding: 'pkcs1' | 'pss'
  readonly hash: 'sha256' | 'sha384' | 'sha512'
  readonly digestBytes: number
  /** The DER of DigestInfo up to the digest (RFC 8017 §9.2, note 1). */
  readonly digestInfoPrefix: Buffer
}

const hashes = {
  256: ['sha256', 32, '3031300d060960864801650304020105000420'],
  384: ['sha384', 48, '3041300d060960864801650304020205000430'],
  512: ['sha512', 64, '3051300d060960864801650304020305000440'],
} as const

const schemeOf = (padding: Scheme['padding'], size: keyof typeof hashes): Scheme => {
  const [hash, digestBytes, prefix] = hashes[size]
  return { padding, hash, digestBytes, digestInfoPrefix: Buffer.from(prefix, 'hex') }
}

const schemes = {
  RS256: schemeOf('pkcs1', 256),
  RS384: schemeOf('pkcs1', 384),
  RS512: schemeOf('pkcs1', 512),
  PS256: schemeOf('pss', 256),
  PS384: schemeOf('pss', 384),
  PS512: schemeOf('pss', 512),
} as const satisfies Record<string, Scheme>

export type SignatureAlgorithm = keyof typeof schemes

export const isSignatureAlgorithm = (text: string): text is SignatureAlgorithm =>
  Object.hasOwn(schemes, text)

/** Bytes of the digest that the algorithm takes: 32, 48 or 64. */
export const digestBytesOf = (algorithm: SignatureAlgorithm): number =>
  schemes[algorithm].digestBytes

/**
 * @param digest Exactly `digestBytesOf(algorithm)` bytes; signed as it is.
 * @throws RangeError for a digest of another length: callers check it first, to refuse in their words.
 */
export function signDigest(
  algorithm: SignatureAlgorithm,
  digest: Buffer,
  privateKey: KeyObject,
): Buffer {
  const scheme: Scheme = schemes[algorithm]
  if (digest.length !== scheme.digestBytes) {
    throw new RangeError(`${algorithm} signs ${scheme.digestBytes} bytes, not ${digest.length}`)
  }
  if (scheme.padding === 'pkcs1') {
    const digestInfo = Buffer.concat([scheme.digestInfoPrefix, digest])
    return privateEncrypt({ key: privateKey, padding: constants.RSA_PKCS1_PADDING }, digestInfo)
  }
  const salt = randomBytes(scheme.digestBytes)
  const encoded = encodePss(scheme, digest, salt, modulusBits(privateKey) - 1)
  return privateEncrypt({ key: privateKey, padding: constants.RSA_NO_PADDING }, encoded)
}

/** Whether the signature is that key's over that digest; malformed signatures simply are not. */
export function verifyDigest(
  algorithm: SignatureAlgorithm,
  digest: Buffer,
  signature: Buffer,
  publicKey: KeyObject,
): boolean {
  const scheme: Scheme = schemes[algorithm]
  const bits = modulusBits(publicKey)
  if (digest.length !== scheme.digestBytes || signature.length !== bits / 8) return false
  const encoded = openSignature(scheme, signature, publicKey)
  if (encoded === undefined) return false
  if (scheme.padding === 'pss') return matchesPss(scheme, digest, encoded, bits - 1)
  return equal(encoded, Buffer.concat([scheme.digestInfoPrefix, digest]))
}

function openSignature(scheme: Scheme, signature: Buffer, key: KeyObject): Buffer | undefined {
  const padding = scheme.padding === 'pss' ? constants.RSA_NO_PADDING : constants.RSA_PKCS1_PADDING
  try {
    return publicDecrypt({ key, padding }, signature)
  } catch {
    // OpenSSL throws when the padding is not what the algorithm says, which is the answer "no".
    return undefined
  }
}

/** EMSA-PSS-ENCODE (RFC 8017 §9.1.1), salt as long as the digest (RFC 7518 §3.5). */
function encodePss(scheme: Scheme, digest: Buffer, salt: Buffer, encodedBits: number): Buffer {
  const hashed = saltedHash(scheme, digest, salt)
  const block = Buffer.alloc(Math.ceil(encodedBits / 8) - scheme.digestBytes - 1)
  block[block.length - salt.length - 1] = 0x01
  salt.copy(block, block.length - salt.length)
  xorInPlace(block, mask(scheme, hashed, block.length))
  block[0] = (block[0] ?? 0) & unusedBitsMask(encodedBits)
  return Buffer.concat([block, hashed, Buffer.from([0xbc])])
}

/** EMSA-PSS-VERIFY (RFC 8017 §9.1.2). */
function matchesPss(scheme: Scheme, digest: Buffer, encoded: Buffer, encodedBits: number): boolean {
  const blockBytes = encoded.length - scheme.digestBytes - 1
  const block = Buffer.from(encoded.subarray(0, blockBytes))
  const hashed = encoded.subarray(blockBytes, -1)
  if (encoded.at(-1) !== 0xbc || ((block[0] ?? 0) & ~unusedBitsMask(encodedBits)) !== 0)
    return false
  xorInPlace(block, mask(scheme, hashed, blockBytes))
  block[0] = (block[0] ?? 0) & unusedBitsMask(encodedBits)
  const saltStart = blockBytes - scheme.digestBytes
  const padding = Buffer.alloc(saltStart)
  padding[saltStart - 1] = 0x01
  if (!equal(block.subarray(0, saltStart), padding)) return false
  return equal(saltedHash(scheme, digest, block.subarray(saltStart)), hashed)
}

const saltedHash = (scheme: Scheme, digest: Buffer, salt: Buffer) =>
  createHash(scheme.hash).update(Buffer.alloc(8)).update(digest).update(salt).digest()

/** MGF1 (RFC 8017 §B.2.1). */
function mask(scheme: Scheme, seed: Buffer, bytes: number): Buffer {
  const blocks: Buffer[] = []
  for (let counter = 0; counter * scheme.digestBytes < bytes; counter += 1) {
    const octets = Buffer.alloc(4)
    octets.writeUInt32BE(counter)
    blocks.push(createHash(scheme.hash).update(seed).update(octets).digest())
  }
  return Buffer.concat(blocks, bytes)
}

function xorInPlace(target: Buffer, other: Buffer): void {
  for (let i = 0; i < target.length; i += 1) target[i] = (target[i] ?? 0) ^ (other[i] ?? 0)
}

/** Which bits of the first octet belong to a number of `encodedBits` bits. */
const unusedBitsMask = (encodedBits: number) =>
  0xff >> (8 * Math.ceil(encodedBits / 8) - encodedBits)

const equal = (a: Buffer, b: Buffer) => a.length === b.length && timingSafeEqual(a, b)

function modulusBits(key: KeyObject): number {
  const bits = key.asymmetricKeyDetails?.modulusLength
  if (bits === undefined) throw new TypeError('not an RSA key')
  return bits
}
