import { describe, expect, test } from 'vitest'
import { Secret } from '../../../src/base/secret.ts'
import { createCookieSeal } from '../../../src/sign-in/cookie-seal.ts'

const secret = new Secret('a-client-secret-that-is-long-enough')
const value = { is: 'session', subject: 'ada' }

describe('what is sealed', () => {
  test('is opened by whoever has the secret, and by nobody else', () => {
    const sealed = createCookieSeal(secret, 'context').seal(value)
    expect(createCookieSeal(secret, 'context').open(sealed)).toEqual(value)
    expect(createCookieSeal(secret, 'another').open(sealed)).toBeUndefined()
    expect(
      createCookieSeal(new Secret('another-secret-0123'), 'context').open(sealed),
    ).toBeUndefined()
    expect(createCookieSeal(undefined, 'context').open(sealed)).toBeUndefined()
  })

  test('of one process without a secret is opened by that one alone', () => {
    const seal = createCookieSeal(undefined, 'context')
    const sealed = seal.seal(value)
    expect(seal.open(sealed)).toEqual(value)
    expect(createCookieSeal(undefined, 'context').open(sealed)).toBeUndefined()
  })

  test('tells nothing of itself, and is another text each time', () => {
    const seal = createCookieSeal(secret, 'context')
    expect(Buffer.from(seal.seal(value), 'base64url').toString('latin1')).not.toContain('ada')
    expect(seal.seal(value)).not.toBe(seal.seal(value))
  })

  test('is worth nothing when a bit of it is another, or some of it is missing', () => {
    const seal = createCookieSeal(secret, 'context')
    const bytes = Buffer.from(seal.seal(value), 'base64url')
    for (let at = 0; at < bytes.length; at += 1) {
      const changed = Buffer.from(bytes)
      changed[at] = (changed[at] ?? 0) ^ 1
      expect(seal.open(changed.toString('base64url'))).toBeUndefined()
      expect(seal.open(bytes.subarray(0, at).toString('base64url'))).toBeUndefined()
    }
  })
})
