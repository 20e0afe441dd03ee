import { compactVerify, createLocalJWKSet, jwtVerify } from 'jose'
import { expect, test } from 'vitest'
import {
  buildClientAssertion,
  assertionHeader,
  compactAssertion,
} from '../../../src/assertion/client-assertion.ts'
import { parseClientId } from '../../../src/base/ids.ts'
import { headType, isSignedBy, parseHead } from '../../../src/custody/head.ts'
import { createTestHeadKey } from '../../support/heads.ts'
import { required } from '../../support/required.ts'

const key = createTestHeadKey()
const hash = Buffer.alloc(32, 7).toString('base64url')
const statement = { ledger: hash, sequence: 12, hash, atMs: 1_790_000_000_123 }

test('a head says what was signed, and any JOSE library can check it', async () => {
  const compact = key.head(statement)
  const head = required(parseHead(compact))
  expect(head).toMatchObject({ keyId: key.keyId, statement })
  expect(isSignedBy(head, key.publicKey)).toBe(true)
  const { payload, protectedHeader } = await compactVerify(compact, key.publicKey)
  expect(JSON.parse(Buffer.from(payload).toString())).toEqual(statement)
  expect(protectedHeader).toEqual({ alg: 'PS256', kid: key.keyId, typ: headType })
})

test('no verifier of assertions can take it for one', async () => {
  const compact = key.head(statement)
  const jwks = createLocalJWKSet({ keys: [key.publicKey.export({ format: 'jwk' })] })
  const asAssertions = [
    { typ: 'JWT' },
    { typ: 'client-authentication+jwt' },
    { requiredClaims: ['iss'] },
    { requiredClaims: ['sub'] },
    { requiredClaims: ['aud'] },
    { requiredClaims: ['exp'] },
  ]
  for (const options of asAssertions) {
    await expect(jwtVerify(compact, jwks, options)).rejects.toThrow()
  }
})

test('an assertion is no head, whoever has signed it', () => {
  const header = assertionHeader(
    'entra',
    { thumbprintSha1: 'A', thumbprintSha256: 'B', der: Buffer.alloc(1) },
    'omit',
  )
  const unsigned = buildClientAssertion(header, {
    clientId: required(parseClientId('11111111-0000-4000-8000-000000000001')),
    audience: 'https://login.microsoftonline.com/t/oauth2/v2.0/token',
    jwtId: 'x',
    nowSeconds: 1,
    lifetimeSeconds: 300,
  })
  expect(parseHead(compactAssertion(unsigned, Buffer.alloc(256)).reveal())).toBeUndefined()
})

const good = { alg: 'PS256', kid: 'k', typ: headType }
test.each<[what: string, header: object, payload: object]>([
  ['of another type', { ...good, typ: 'JWT' }, statement],
  ['of another algorithm', { ...good, alg: 'RS256' }, statement],
  ['unsigned', { ...good, alg: 'none' }, statement],
  ['that brings its own key', { ...good, jwk: {} }, statement],
  ['with claims of an assertion', good, { ...statement, iss: 'a', sub: 'a', aud: 'b' }],
  ['of no entry', good, { ...statement, sequence: 0 }],
  ['with a hash that is none', good, { ...statement, hash: 'abc' }],
  ['without a ledger', good, { ...statement, ledger: undefined }],
])('a statement %s is no head', (_, header, payload) => {
  expect(parseHead(key.jws(header, payload))).toBeUndefined()
  expect(parseHead(key.jws(good, statement))).toBeDefined()
})

test.each(['', 'a.b', 'a.b.c', `${'a'.repeat(9000)}.b.c`, key.head(statement).slice(1)])(
  'what is no JWS is no head: %#',
  (text) => {
    expect(parseHead(text)).toBeUndefined()
  },
)

test('a signature over something else, or by another key, does not verify', () => {
  const [, , signature = ''] = key.head(statement).split('.')
  const [header = '', payload = ''] = key.head({ ...statement, sequence: 13 }).split('.')
  const forged = required(parseHead(`${header}.${payload}.${signature}`))
  expect(isSignedBy(forged, key.publicKey)).toBe(false)
  const head = required(parseHead(key.head(statement)))
  expect(isSignedBy(head, createTestHeadKey().publicKey)).toBe(false)
})
