import { describe, expect, it } from 'vitest'
import { parseCompactToken } from '../../../src/caller/compact-token.ts'

const encode = (json: unknown) => Buffer.from(JSON.stringify(json)).toString('base64url')
const encodeText = (text: string | Uint8Array) => Buffer.from(text).toString('base64url')
const header = encode({ alg: 'RS256', kid: 'k1' })
const payload = encode({ iss: 'https://issuer.example' })
const withHeader = (members: object) => `${encode({ alg: 'RS256', ...members })}.${payload}.c2ln`

describe('parseCompactToken', () => {
  it('takes header and claims out of a token', () => {
    expect(parseCompactToken(`${header}.${payload}.c2ln`)).toEqual({
      ok: true,
      token: { header: { alg: 'RS256', kid: 'k1' }, claims: { iss: 'https://issuer.example' } },
    })
  })

  it.each([['JWT'], ['jwt'], ['at+jwt'], ['AT+JWT'], ['application/at+jwt']])(
    'accepts the type %s',
    (typ) => {
      expect(parseCompactToken(withHeader({ typ })).ok).toBe(true)
    },
  )

  it.each([
    ['client-authentication+jwt'],
    ['logout+jwt'],
    ['dpop+jwt'],
    ['secevent+jwt'],
    ['JWS'],
    ['JWT '],
    [''],
    [null],
    [['JWT']],
  ])('refuses the type %j', (typ) => {
    expect(parseCompactToken(withHeader({ typ }))).toEqual({ ok: false, fault: 'another type' })
  })

  it.each([
    ['crit', ['exp']],
    ['crit', []],
    ['b64', false],
    ['b64', true],
    ['jku', 'https://attacker.example/keys'],
    ['jwk', { kty: 'RSA', n: 'AQAB', e: 'AQAB' }],
    ['x5u', 'https://attacker.example/certificate'],
    ['jku', null],
  ])('refuses a header with %s: %j', (name, value) => {
    expect(parseCompactToken(withHeader({ [name]: value }))).toEqual({
      ok: false,
      fault: 'a refused header member',
    })
  })

  it('ignores a thumbprint and a chain beside the key id, which Entra sends', () => {
    expect(parseCompactToken(withHeader({ x5t: 'AQAB', x5c: ['AQAB'] })).ok).toBe(true)
  })

  it.each([
    ['', 'not three parts'],
    ['..', 'not three parts'],
    [`${header}.${payload}`, 'not three parts'],
    [`${header}.${payload}.`, 'not three parts'],
    [`${header}..c2ln`, 'not three parts'],
    [`.${payload}.c2ln`, 'not three parts'],
    [`${header}.${payload}.c2ln.`, 'not three parts'],
    [`${header}.${payload}.c2ln.a.b`, 'not three parts'],
    [` ${header}.${payload}.c2ln`, 'not base64url'],
    [`${header}.${payload}.c2ln\n`, 'not base64url'],
    [`${header}.${payload}.c2ln=`, 'not base64url'],
    [`${header}.${payload}.c2l+`, 'not base64url'],
    [`${header}.${payload}.a/b-`, 'not base64url'],
    [`${header}.${payload}.c`, 'not base64url'],
    [`${header}.${payload}.c2lé`, 'not base64url'],
    [`${header}.${payload}.c2lnZ1`, 'not base64url'],
    [`${encodeText('{"alg":"RS256"')}.${payload}.c2ln`, 'not JSON'],
    [`${encodeText('{"alg":"none","alg":"RS256"}')}.${payload}.c2ln`, 'a member twice'],
    [`${encodeText('["RS256"]')}.${payload}.c2ln`, 'not a JSON object'],
    [`${header}.${encodeText('{"iss":"a","iss":"b"}')}.c2ln`, 'a member twice'],
    [`${header}.${encodeText('"claims"')}.c2ln`, 'not a JSON object'],
    [`${header}.${encodeText(Uint8Array.of(0xff, 0xfe))}.c2ln`, 'not UTF-8'],
    [`${header}.${encodeText('{"exp":1e400}')}.c2ln`, 'a number that is not exact'],
    [`${header}.${encodeText(String.raw`{"sub":"\udfff"}`)}.c2ln`, 'a lone surrogate'],
  ])('answers %j with: %s', (text, fault) => {
    expect(parseCompactToken(text)).toEqual({ ok: false, fault })
  })

  it('does not take a number or a list for an algorithm or a key id', () => {
    expect(parseCompactToken(`${encode({ alg: ['RS256'], kid: 1 })}.${payload}.c2ln`)).toEqual({
      ok: true,
      token: { header: {}, claims: { iss: 'https://issuer.example' } },
    })
  })
})
