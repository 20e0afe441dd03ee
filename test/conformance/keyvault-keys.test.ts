import { constants, createHash, createPublicKey, verify } from 'node:crypto'
import { CryptographyClient, KeyClient } from '@azure/keyvault-keys'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startTestEmulator, type TestEmulator } from '../support/emulator.ts'

let emulator: TestEmulator

beforeAll(async () => {
  emulator = await startTestEmulator({
    vaults: [
      {
        name: 'contoso-hsm',
        certificates: [{ name: 'assert' }],
        roleAssignments: [
          { principal: 'signer', actions: ['keys/read', 'keys/sign/action', 'keys/verify/action'] },
        ],
      },
    ],
  })
})
afterAll(() => emulator.stop())

const keyClient = (principal = 'signer') =>
  new KeyClient(
    emulator.vaultUrl('contoso-hsm'),
    emulator.credential(principal),
    emulator.clientOptions,
  )
const message = Buffer.from('header.payload')
const digest = createHash('sha256').update(message).digest()

describe('a signature', () => {
  test.each([
    ['PS256', constants.RSA_PKCS1_PSS_PADDING],
    ['RS256', constants.RSA_PKCS1_PADDING],
  ])('made as %s over a digest verifies over the message', async (algorithm, padding) => {
    const key = await keyClient().getKey('assert')
    const cryptography = new CryptographyClient(
      key,
      emulator.credential('signer'),
      emulator.clientOptions,
    )
    const { result } = await cryptography.sign(algorithm, digest)
    const publicKey = createPublicKey({
      key: {
        kty: 'RSA',
        n: Buffer.from(key.key?.n ?? []).toString('base64url'),
        e: Buffer.from(key.key?.e ?? []).toString('base64url'),
      },
      format: 'jwk',
    })
    expect(verify('sha256', message, { key: publicKey, padding }, result)).toBe(true)
  })
})
