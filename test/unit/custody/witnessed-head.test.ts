import { generateKeyPairSync } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { parseHead } from '../../../src/custody/head.ts'
import {
  isWitnessing,
  parseWitnessed,
  witnessAlgorithmOf,
  witnessType,
} from '../../../src/custody/witnessed-head.ts'
import { createTestHeadKey } from '../../support/heads.ts'
import { required } from '../../support/required.ts'
import { createTestWitnessKey } from '../../support/witness.ts'

const statement = { ledger: 'l'.repeat(43), hash: 'h'.repeat(43), sequence: 7, atMs: 5 }
const headKey = createTestHeadKey()
const head = headKey.head(statement)

describe.each(['EdDSA', 'PS256'] as const)('a head that was witnessed with %s', (algorithm) => {
  const key = createTestWitnessKey(algorithm, 'https://auditors/witness')
  const said = required(parseWitnessed(key.witnessed(head, 6)))

  test('says which head, when, and by whom', () => {
    expect(said).toMatchObject({
      algorithm,
      keyId: 'https://auditors/witness',
      statement: { atMs: 6 },
    })
    expect(isWitnessing(said, head, key.publicKey)).toBe(true)
  })

  test('is of that head and that key alone', () => {
    expect(isWitnessing(said, headKey.head({ ...statement, atMs: 6 }), key.publicKey)).toBe(false)
    const others = [createTestWitnessKey('EdDSA'), createTestWitnessKey('PS256')]
    for (const other of others) expect(isWitnessing(said, head, other.publicKey)).toBe(false)
    const changed = { ...said, signature: said.signature.map((byte) => byte ^ 1) }
    expect(isWitnessing(changed, head, key.publicKey)).toBe(false)
  })

  test('is no head, and a head is not that', () => {
    expect(parseHead(key.witnessed(head))).toBeUndefined()
    expect(parseWitnessed(head)).toBeUndefined()
  })

  test.each<[string, object, object]>([
    ['another type', { typ: 'JWT' }, {}],
    ['another algorithm', { alg: 'none' }, {}],
    ['a claim of a JWT', {}, { sub: 'app' }],
    ['a member of the header that is not known', { crit: ['b64'] }, {}],
  ])('is none with %s', (_, header, payload) => {
    const honest = { alg: algorithm, kid: 'k', typ: witnessType }
    const whole = { atMs: 1, headSha256: 'a'.repeat(43) }
    expect(parseWitnessed(key.jws(honest, whole))).toBeDefined()
    const other = key.jws({ ...honest, ...header }, { ...whole, ...payload })
    expect(parseWitnessed(other)).toBeUndefined()
  })
})

test('a header does not choose how its key is used', () => {
  const key = createTestWitnessKey('PS256')
  const lying = key.jws(
    { alg: 'EdDSA', kid: 'k', typ: witnessType },
    { atMs: 1, headSha256: required(parseWitnessed(key.witnessed(head))).statement.headSha256 },
  )
  expect(isWitnessing(required(parseWitnessed(lying)), head, key.publicKey)).toBe(false)
})

test('keys that are too small, or of another kind, are no witness’s', () => {
  const small = generateKeyPairSync('rsa', { modulusLength: 1024 })
  const curve = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  expect(witnessAlgorithmOf(small.publicKey)).toBeUndefined()
  expect(witnessAlgorithmOf(curve.publicKey)).toBeUndefined()
})
