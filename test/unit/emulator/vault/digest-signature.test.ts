import { constants, createHash, generateKeyPairSync, sign, verify } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import {
  digestBytesOf,
  isSignatureAlgorithm,
  signDigest,
  verifyDigest,
  type SignatureAlgorithm,
} from '../../../../src/emulator/vault/digest-signature.ts'

const algorithms = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'] as const
const hashOf = (algorithm: SignatureAlgorithm) => `sha${algorithm.slice(2)}`
const paddingOf = (algorithm: SignatureAlgorithm) =>
  algorithm.startsWith('PS')
    ? { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }
    : { padding: constants.RSA_PKCS1_PADDING }

const keys = Object.fromEntries(
  [2048, 3072, 4096].map((modulusLength) => [
    modulusLength,
    generateKeyPairSync('rsa', { modulusLength }),
  ]),
)
const message = Buffer.from('header.payload')
const digestOf = (algorithm: SignatureAlgorithm) =>
  createHash(hashOf(algorithm)).update(message).digest()

describe.each(Object.entries(keys))(
  'with an RSA key of %s bits',
  (_, { privateKey, publicKey }) => {
    test.each(algorithms)('%s of a digest verifies as a signature of the message', (algorithm) => {
      const signature = signDigest(algorithm, digestOf(algorithm), privateKey)
      const key = { key: publicKey, ...paddingOf(algorithm) }
      expect(verify(hashOf(algorithm), message, key, signature)).toBe(true)
    })

    test.each(algorithms)('%s accepts what node:crypto signs, and nothing altered', (algorithm) => {
      const signature = sign(hashOf(algorithm), message, {
        key: privateKey,
        ...paddingOf(algorithm),
      })
      const digest = digestOf(algorithm)
      expect(verifyDigest(algorithm, digest, signature, publicKey)).toBe(true)

      const otherDigest = Buffer.from(digest)
      otherDigest.writeUInt8(otherDigest.readUInt8(0) ^ 1, 0)
      expect(verifyDigest(algorithm, otherDigest, signature, publicKey)).toBe(false)
      const otherSignature = Buffer.from(signature)
      otherSignature.writeUInt8(otherSignature.readUInt8(40) ^ 1, 40)
      expect(verifyDigest(algorithm, digest, otherSignature, publicKey)).toBe(false)
      expect(verifyDigest(algorithm, digest, signature.subarray(1), publicKey)).toBe(false)
      expect(verifyDigest(algorithm, digest.subarray(1), signature, publicKey)).toBe(false)
    })
  },
)

const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })

test('does not take one padding for the other', () => {
  const digest = digestOf('PS256')
  expect(verifyDigest('PS256', digest, signDigest('RS256', digest, privateKey), publicKey)).toBe(
    false,
  )
  expect(verifyDigest('RS256', digest, signDigest('PS256', digest, privateKey), publicKey)).toBe(
    false,
  )
})

test.each([20, 222])('refuses a PSS signature whose salt has %i bytes', (saltLength) => {
  const signature = sign('sha256', message, {
    key: privateKey,
    padding: constants.RSA_PKCS1_PSS_PADDING,
    saltLength,
  })
  expect(verifyDigest('PS256', digestOf('PS256'), signature, publicKey)).toBe(false)
})

test('salts every PSS signature afresh, and PKCS#1 signatures never', () => {
  const digest = digestOf('PS256')
  const twice = (algorithm: SignatureAlgorithm) =>
    [1, 2].map(() => signDigest(algorithm, digest, privateKey).toString('hex'))
  expect(new Set(twice('PS256')).size).toBe(2)
  expect(new Set(twice('RS256')).size).toBe(1)
})

test('will not sign a digest of the wrong length', () => {
  expect(() => signDigest('PS256', Buffer.alloc(31), privateKey)).toThrow(RangeError)
  expect(digestBytesOf('RS512')).toBe(64)
})

test('knows the algorithms of RSA keys and no others', () => {
  expect(algorithms.every(isSignatureAlgorithm)).toBe(true)
  expect(['ES256', 'HS256', 'none', 'toString'].some(isSignatureAlgorithm)).toBe(false)
})
