import type { JWK } from 'jose'
import { describe, expect, it } from 'vitest'
import { callerAlgorithms } from '../../../src/base/caller-algorithms.ts'
import { parseKeySet } from '../../../src/caller/key-set.ts'
import { createIssuerKey } from '../../support/caller-issuer.ts'

const rsa = createIssuerKey('rsa').jwk
const ec = createIssuerKey('ec', 'ES256').jwk
const ed = createIssuerKey('ed', 'EdDSA').jwk

const algorithmsOf = (...keys: readonly unknown[]) =>
  parseKeySet({ keys })?.map(({ algorithms }) => algorithms)
const without = ({ ...jwk }: JWK, ...names: readonly (keyof JWK)[]): JWK => {
  for (const name of names) Reflect.deleteProperty(jwk, name)
  return jwk
}

describe('parseKeySet', () => {
  it.each(callerAlgorithms.map((alg) => [alg]))('takes a key for %s', (alg) => {
    expect(algorithmsOf(createIssuerKey('k', alg).jwk)).toEqual([[alg]])
  })

  it('lets a key without alg verify what its kind can, and nothing else', () => {
    expect(algorithmsOf(without(rsa, 'alg'), without(ec, 'alg'), without(ed, 'alg'))).toEqual([
      ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
      ['ES256'],
      ['EdDSA'],
    ])
  })

  it('takes keys without use or key_ops, or with ones that fit', () => {
    expect(algorithmsOf(without(rsa, 'use'), { ...rsa, key_ops: ['verify'] })).toHaveLength(2)
  })

  it.each<[string, unknown]>([
    ['is for encryption', { ...rsa, use: 'enc' }],
    ['may not verify', { ...rsa, key_ops: ['encrypt'] }],
    ['has an algorithm of another kind', { ...rsa, alg: 'ES256' }],
    ['has an algorithm of another curve', { ...ec, alg: 'ES384' }],
    ['has an algorithm that nobody knows', { ...rsa, alg: 'RS257' }],
    ['is symmetric', { kty: 'oct', k: 'AQAB', kid: 'oct', alg: 'HS256' }],
    ['is an RSA key of 1024 bits', createIssuerKey('small', 'RS256', 1024).jwk],
    ['is an RSA key of 16384 bits', { ...rsa, n: Buffer.alloc(2048, 0xff).toString('base64url') }],
    ['has exponent 1', { ...rsa, e: 'AQ' }],
    ['has no modulus', without(rsa, 'n')],
    ['has a modulus that is no base64url', { ...rsa, n: '+/==' }],
    ['is a point beside its curve', { ...ec, x: ec.y, y: ec.x }],
    ['is on another curve', { ...ec, crv: 'secp256k1' }],
    ['agrees keys instead of signing', { kty: 'OKP', crv: 'X25519', x: ed.x }],
    [
      'shows its private half',
      { ...rsa, ...createIssuerKey('k').privateKey.export({ format: 'jwk' }) },
    ],
    ['has a kid that is no string', { ...rsa, kid: 7 }],
    ['is no object', 'key'],
    ['is null', null],
  ])('leaves out a key that %s and keeps the one beside it', (_, key) => {
    expect(parseKeySet({ keys: [key, rsa] })?.map(({ kid }) => kid)).toEqual(['rsa'])
  })

  it.each<[string, unknown]>([
    ['text', 'keys'],
    ['null', null],
    ['a list', [rsa]],
    ['an object without keys', { key: rsa }],
    ['keys that are no list', { keys: rsa }],
    ['more than a hundred keys', { keys: Array.from({ length: 101 }, () => rsa) }],
  ])('does not take %s for a key set', (_, json) => {
    expect(parseKeySet(json)).toBeUndefined()
  })

  it('takes an empty key set for one: the issuer has withdrawn everything', () => {
    expect(parseKeySet({ keys: [] })).toEqual([])
  })

  it('takes the same numbers under another name or use for another key', () => {
    const fingerprints = parseKeySet({
      keys: [
        rsa,
        { ...rsa },
        { ...rsa, kid: 'other' },
        without(rsa, 'alg'),
        { ...rsa, issuer: 'i' },
      ],
    })?.map(({ fingerprint }) => fingerprint)
    expect(new Set(fingerprints).size).toBe(4)
    expect(fingerprints?.[0]).toBe(fingerprints?.[1])
  })
})
