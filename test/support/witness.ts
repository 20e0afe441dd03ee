import { constants, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { sha256Base64url } from '../../src/base/sha256.ts'
import { witnessSigningInput, type WitnessAlgorithm } from '../../src/custody/witnessed-head.ts'
import { compactFrom } from '../../src/custody/own-jws.ts'
import { firstMs } from './evidence.ts'

/** A key of a witness in tests. */
export function createTestWitnessKey(algorithm: WitnessAlgorithm = 'EdDSA', keyId = 'witness') {
  const { privateKey, publicKey } =
    algorithm === 'EdDSA'
      ? generateKeyPairSync('ed25519')
      : generateKeyPairSync('rsa', { modulusLength: 2048 })
  return {
    publicKey,
    privateKey,
    /** What it says of a head, compact. */
    witnessed: (head: string, atMs = firstMs) => {
      const statement = { headSha256: sha256Base64url(head), atMs }
      const input = witnessSigningInput(statement, { keyId, algorithm })
      return compactFrom(input, signatureOf(input, algorithm, privateKey))
    },
    /** Any header and payload, each as it is written. */
    jws: (header: object, payload: object) => {
      const input = [header, payload]
        .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
        .join('.')
      return compactFrom(input, signatureOf(input, algorithm, privateKey))
    },
  }
}

export type TestWitnessKey = ReturnType<typeof createTestWitnessKey>

function signatureOf(input: string, algorithm: WitnessAlgorithm, key: KeyObject): Buffer {
  const bytes = Buffer.from(input, 'ascii')
  if (algorithm === 'EdDSA') return sign(undefined, bytes, key)
  const pss = { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 }
  return sign('sha256', bytes, pss)
}

/** As a witness writes it. */
export const witnessText = (heads: readonly string[], key: TestWitnessKey): string =>
  heads
    .map((head) => {
      const line = { anchoredAtMs: firstMs, head, witnessed: key.witnessed(head) }
      return `${JSON.stringify(line)}\n`
    })
    .join('')
