import { createDecipheriv, createSecretKey, randomBytes } from 'node:crypto'
import { fc } from '../support/drawn-cases.ts'
import { describe, expect, test } from 'vitest'
import type { DataKey } from '../../src/sealing/data-key.ts'
import { generationOf, open, seal, type SealedFor } from '../../src/sealing/seal.ts'

const dataKeyOf = (generation: number, secret = randomBytes(32)): DataKey => ({
  generation,
  secret: createSecretKey(secret),
  createdAtSeconds: 1_790_000_000,
})

const generations = fc.integer({ min: 1, max: 2 ** 31 - 1 })
const targets: fc.Arbitrary<SealedFor> = fc.record({
  key: fc.string({ unit: 'binary', maxLength: 80 }),
  expiresAtSeconds: fc.integer({ min: 0, max: 2 ** 40 }),
})
const messages = fc.uint8Array({ maxLength: 300 })

const altered = { ok: false, reason: 'altered' }

describe('what is sealed', () => {
  test('opens for what it was sealed for, as it was', () => {
    fc.assert(
      fc.property(generations, targets, messages, (generation, target, message) => {
        const dataKey = dataKeyOf(generation)
        const sealed = seal(dataKey, target, message)
        expect(generationOf(sealed)).toBe(generation)
        expect(open(dataKey, target, sealed)).toEqual({
          ok: true,
          plaintext: Buffer.from(message),
        })
      }),
    )
  })

  test('does not open when any one of its bits is changed', () => {
    const dataKey = dataKeyOf(7)
    const target = { key: 'tenant a', expiresAtSeconds: 1_790_003_600 }
    const sealed = seal(dataKey, target, Buffer.from('an access token'))
    for (let bit = 0; bit < sealed.length * 8; bit += 1) {
      const changed = Buffer.from(sealed)
      changed.writeUInt8(changed.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3)
      expect(open(dataKey, target, changed).ok, `bit ${bit}`).toBe(false)
    }
    expect(open(dataKey, target, sealed).ok).toBe(true)
  })

  test('does not open when it is cut, lengthened or something else', () => {
    const dataKey = dataKeyOf(1)
    fc.assert(
      fc.property(targets, messages, messages, (target, message, other) => {
        const sealed = seal(dataKey, target, message)
        const cut = sealed.subarray(0, other.length % sealed.length)
        for (const changed of [cut, Buffer.concat([sealed, Buffer.alloc(1)]), Buffer.from(other)]) {
          expect(open(dataKey, target, changed).ok).toBe(false)
        }
      }),
    )
  })

  test('does not open for another key, another expiry or another generation', () => {
    fc.assert(
      fc.property(generations, targets, targets, messages, (generation, target, other, message) => {
        const secret = randomBytes(32)
        const dataKey = dataKeyOf(generation, secret)
        const sealed = seal(dataKey, target, message)
        fc.pre(other.key !== target.key && other.expiresAtSeconds !== target.expiresAtSeconds)
        const { key, expiresAtSeconds } = other
        expect(open(dataKey, { ...target, key }, sealed)).toEqual(altered)
        expect(open(dataKey, { ...target, expiresAtSeconds }, sealed)).toEqual(altered)
        const next = dataKeyOf(generation === 1 ? 2 : generation - 1, secret)
        expect(open(next, target, sealed)).toEqual(altered)
        const relabelled = Buffer.from(sealed)
        relabelled.writeUInt32BE(next.generation, 1)
        expect(open(next, target, relabelled)).toEqual(altered)
      }),
    )
  })

  test('does not open with another data key of its generation', () => {
    const target = { key: 'tenant a', expiresAtSeconds: 1 }
    const sealed = seal(dataKeyOf(3), target, Buffer.from('an access token'))
    expect(open(dataKeyOf(3), target, sealed)).toEqual(altered)
  })

  test('does not open where the parts of two targets only run together alike', () => {
    const dataKey = dataKeyOf(1)
    const sealed = seal(dataKey, { key: 'a1', expiresAtSeconds: 23 }, Buffer.from('token'))
    expect(open(dataKey, { key: 'a', expiresAtSeconds: 123 }, sealed)).toEqual(altered)
    expect(open(dataKey, { key: 'a12', expiresAtSeconds: 3 }, sealed)).toEqual(altered)
  })

  test('never has the same nonce twice, and never looks the same', () => {
    const dataKey = dataKeyOf(1)
    const target = { key: 'a', expiresAtSeconds: 1 }
    const sealed = Array.from({ length: 2000 }, () => seal(dataKey, target, Buffer.from('token')))
    expect(new Set(sealed.map((one) => one.toString('hex', 5, 17))).size).toBe(2000)
    expect(new Set(sealed.map((one) => one.toString('hex', 17))).size).toBe(2000)
  })

  test('shows nothing of the message', () => {
    const message = Buffer.from('eyJhbGciOiJSUzI1NiJ9.an access token')
    const sealed = seal(dataKeyOf(1), { key: 'a', expiresAtSeconds: 1 }, message)
    expect(sealed.includes(message.subarray(0, 8))).toBe(false)
  })

  test('is AES-256-GCM in the documented layout, which plain node:crypto opens', () => {
    const secret = randomBytes(32)
    const sealed = seal(
      dataKeyOf(258, secret),
      { key: 'tenant a', expiresAtSeconds: 1_790_000_000 },
      Buffer.from('token'),
    )
    expect(sealed.subarray(0, 5).toString('hex')).toBe('0100000102')
    const decryption = createDecipheriv('aes-256-gcm', secret, sealed.subarray(5, 17), {
      authTagLength: 16,
    })
    const associated =
      '\0\0\0\x14countersign sealed 1' +
      '\0\0\0\x08tenant a' +
      '\0\0\0\x0a1790000000' +
      '\0\0\0\x03258'
    decryption.setAAD(Buffer.from(associated, 'latin1'))
    decryption.setAuthTag(sealed.subarray(-16))
    const plaintext = decryption.update(sealed.subarray(17, -16), undefined, 'utf8')
    expect(plaintext + decryption.final('utf8')).toBe('token')
  })
})

describe('what cannot be sealed', () => {
  test.each([
    ['an expiry of half a second', { key: 'a', expiresAtSeconds: 0.5 }],
    ['no expiry', { key: 'a', expiresAtSeconds: NaN }],
    ['a key that UTF-8 cannot tell from others', { key: '\ud800', expiresAtSeconds: 1 }],
  ])('%s is a mistake of ours', (_case, target) => {
    expect(() => seal(dataKeyOf(1), target, Buffer.alloc(0))).toThrow(RangeError)
  })
})
