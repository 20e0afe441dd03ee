import { constants, generateKeyPairSync, hash, sign, verify } from 'node:crypto'
import { decodeProtectedHeader, jwtVerify } from 'jose'
import { describe, expect, test } from 'vitest'
import {
  type AssertionProfile,
  assertionHeader,
  buildClientAssertion,
  compactAssertion,
} from '../../../src/assertion/client-assertion.ts'
import { parseClientId } from '../../../src/base/ids.ts'

const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
const der = Buffer.from('not a certificate, and nobody here looks inside')
const certificate = {
  der,
  thumbprintSha1: hash('sha1', der, 'base64url'),
  thumbprintSha256: hash('sha256', der, 'base64url'),
}
const clientId = parseClientId('11111111-2222-3333-4444-555555555555')
if (clientId === undefined) throw new TypeError('a GUID')
const audience =
  'https://login.microsoftonline.com/aaaaaaaa-0000-4000-8000-000000000001/oauth2/v2.0/token'
const claims = {
  clientId,
  audience,
  jwtId: 'b0a7c6a2-7f7e-4b0e-9c37-1f6d3a9f2f11',
  nowSeconds: 1_763_787_376,
  lifetimeSeconds: 300,
}

const padding = {
  PS256: { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 },
  RS256: { padding: constants.RSA_PKCS1_PADDING },
}

/** What the vault does, with a key that this test may hold. */
function signedAssertion(profile: AssertionProfile, x5c: 'include' | 'omit' = 'omit') {
  const unsigned = buildClientAssertion(assertionHeader(profile, certificate, x5c), claims)
  const signature = sign('sha256', Buffer.from(unsigned.signingInput), {
    key: privateKey,
    ...padding[unsigned.algorithm],
  })
  return { unsigned, signature, compact: compactAssertion(unsigned, signature).reveal() }
}

describe('client assertion', () => {
  test.each([
    ['entra', { alg: 'PS256', typ: 'JWT', 'x5t#S256': certificate.thumbprintSha256 }],
    ['entra-legacy', { alg: 'RS256', typ: 'JWT', x5t: certificate.thumbprintSha1 }],
  ] as const)('has exactly the header of the profile %s', (profile, header) => {
    expect(decodeProtectedHeader(signedAssertion(profile).compact)).toEqual(header)
  })

  test('carries the certificate only when it is told to, in standard base64', () => {
    const { x5c } = decodeProtectedHeader(signedAssertion('entra', 'include').compact)
    expect(x5c).toEqual([der.toString('base64')])
    expect(decodeProtectedHeader(signedAssertion('entra').compact)).not.toHaveProperty('x5c')
  })

  test.each(['entra', 'entra-legacy'] as const)('verifies with jose: %s', async (profile) => {
    const { payload } = await jwtVerify(signedAssertion(profile).compact, publicKey, {
      audience,
      issuer: clientId,
      subject: clientId,
      currentDate: new Date(claims.nowSeconds * 1000),
    })
    expect(payload).toEqual({
      aud: audience,
      iss: clientId,
      sub: clientId,
      jti: claims.jwtId,
      nbf: claims.nowSeconds,
      iat: claims.nowSeconds,
      exp: claims.nowSeconds + 300,
    })
  })

  test.each(['entra', 'entra-legacy'] as const)('verifies with node:crypto: %s', (profile) => {
    const { unsigned, signature } = signedAssertion(profile)
    const key = { key: publicKey, ...padding[unsigned.algorithm] }
    expect(verify('sha256', Buffer.from(unsigned.signingInput), key, signature)).toBe(true)
    const altered = `${unsigned.signingInput}A`
    expect(verify('sha256', Buffer.from(altered), key, signature)).toBe(false)
  })

  test('is refused by jose a second after it has expired', async () => {
    const late = new Date((claims.nowSeconds + 301) * 1000)
    await expect(
      jwtVerify(signedAssertion('entra').compact, publicKey, { currentDate: late }),
    ).rejects.toMatchObject({ code: 'ERR_JWT_EXPIRED' })
  })

  test.each([0, 601, -1, Number.NaN])('cannot be built to live %d seconds', (lifetimeSeconds) => {
    const header = assertionHeader('entra', certificate, 'omit')
    expect(() => buildClientAssertion(header, { ...claims, lifetimeSeconds })).toThrow(RangeError)
  })

  test.each([1, 600])('can be built to live %d seconds', (lifetimeSeconds) => {
    const header = assertionHeader('entra', certificate, 'omit')
    const { expiresAtSeconds } = buildClientAssertion(header, { ...claims, lifetimeSeconds })
    expect(expiresAtSeconds).toBe(claims.nowSeconds + lifetimeSeconds)
  })

  test('is wrapped, so that printing it prints nothing', () => {
    const { unsigned, signature } = signedAssertion('entra')
    const wrapped = compactAssertion(unsigned, signature)
    expect(`${wrapped.toString()}${JSON.stringify({ wrapped })}`).toBe(
      '[secret]{"wrapped":"[secret]"}',
    )
  })
})
