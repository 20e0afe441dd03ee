import { generateKeyPairSync } from 'node:crypto'
import { expect, test } from 'vitest'
import { unitsOf } from '../../../src/signer/key-units.ts'

/** Key Vault's own table: 2,000 against 500 against 250 in ten seconds. */
test.each([
  [2048, 1],
  [3072, 4],
  [4096, 8],
])('an operation on a key of %i bits spends %i', (modulusLength, units) => {
  const { publicKey } = generateKeyPairSync('rsa', { modulusLength })
  const key = {
    keyId: 'https://vault.example/keys/k/1',
    publicKey,
    heldBy: 'hsm',
    notBeforeSeconds: undefined,
    notAfterSeconds: undefined,
  } as const

  expect(unitsOf(key)).toBe(units)
})
