import { generateKeyPairSync } from 'node:crypto'
import { expect, test } from 'vitest'
import { decryptOaep, encryptOaep } from '../../../../src/emulator/vault/oaep.ts'

const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
const message = Buffer.from('a data key')

/** One in 256 begins with it. */
function ciphertextThatBeginsWithZero(): Buffer {
  for (;;) {
    const ciphertext = encryptOaep('RSA-OAEP-256', message, publicKey)
    if (ciphertext[0] === 0) return ciphertext
  }
}

test('a ciphertext is as long as its key: one that lacks only its leading zero is refused', () => {
  const ciphertext = ciphertextThatBeginsWithZero()
  expect(decryptOaep('RSA-OAEP-256', ciphertext, privateKey)).toEqual(message)
  expect(decryptOaep('RSA-OAEP-256', ciphertext.subarray(1), privateKey)).toBeUndefined()
  const longer = Buffer.concat([Buffer.alloc(1), ciphertext])
  expect(decryptOaep('RSA-OAEP-256', longer, privateKey)).toBeUndefined()
})
