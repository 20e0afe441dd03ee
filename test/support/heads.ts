import { constants, generateKeyPairSync, sign } from 'node:crypto'
import { headSigningInput, type HeadStatement } from '../../src/custody/head.ts'
import { compactFrom } from '../../src/custody/own-jws.ts'

/**
 * A key that signs heads in tests: in software, which nothing in the product can.
 *
 * @param modulusLength In bits: where thousands are signed, fewer than any vault has.
 */
export function createTestHeadKey(
  keyId = 'https://contoso-hsm.vault.azure.net/keys/heads/v1',
  modulusLength = 2048,
) {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength })
  const pss = { key: privateKey, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 }
  const signed = (input: string) =>
    compactFrom(input, sign('sha256', Buffer.from(input, 'ascii'), pss))
  return {
    keyId,
    publicKey,
    head: (statement: HeadStatement) => signed(headSigningInput(statement, keyId)),
    /** Any header and payload, each as it is written. */
    jws: (header: object, payload: object) =>
      signed([header, payload].map((part) => base64url(JSON.stringify(part))).join('.')),
  }
}

export type TestHeadKey = ReturnType<typeof createTestHeadKey>

const base64url = (text: string) => Buffer.from(text).toString('base64url')
