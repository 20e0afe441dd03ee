import { createHash } from 'node:crypto'
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Secret } from '../../../src/base/secret.ts'
import type { CallerError, Identification } from '../../../src/caller/caller.ts'
import { createJsonFetcher } from '../../../src/caller/json-fetcher.ts'
import { createJwtCallerIdentifier } from '../../../src/caller/jwt-caller.ts'
import {
  createIssuerKey,
  issuerName,
  keysPath,
  signToken,
  startLoopbackIssuer,
  type Claims,
  type LoopbackIssuer,
} from '../../support/caller-issuer.ts'
import { fixedClock } from '../../support/fixed-clock.ts'

const audience = 'https://countersign.example'
const fetcher = createJsonFetcher()
afterAll(() => fetcher.close())

const first = createIssuerKey('first')
const second = createIssuerKey('second')
let issuer: LoopbackIssuer
beforeEach(async () => {
  issuer = await startLoopbackIssuer(first)
})
afterEach(() => issuer.close())

function createIdentifier() {
  const clock = fixedClock(1_795_000_000)
  const away: CallerError[] = []
  const identifier = createJwtCallerIdentifier({
    issuers: [
      {
        kind: 'oidc',
        name: issuerName('platform'),
        issuer: issuer.url,
        audience,
        algorithms: ['RS256', 'ES256'],
        require: [],
        maxTokenSeconds: 7200,
      },
    ],
    ownClientIds: [],
    clock,
    fetchJson: fetcher.fetchJson,
    onIssuerAway: (failure) => away.push(failure),
  })
  const now = clock.nowSeconds()
  const sign = (changes: Claims = {}, key = first, header: Claims = {}) =>
    signToken(
      key,
      { iss: issuer.url, sub: 'job-1', aud: audience, iat: now, exp: now + 3600, ...changes },
      header,
    )
  return {
    identify: (token: string) => identifier.identify(new Secret(token)),
    known: (token: string) => identifier.known(new Secret(token)),
    clock,
    now,
    sign,
    away,
  }
}

const reasonOf = (identification: Identification) =>
  identification.ok ? 'proven' : identification.refusal.reason

/** @throws Error for a refusal. */
function callerOf(identification: Identification) {
  if (identification.ok) return identification.caller
  throw new Error(identification.refusal.reason)
}

/** Of ECDSA with P-256 (r, n − s) is as good as (r, s), and anybody can make it. */
function withOtherSignature(token: string): string {
  const end = token.lastIndexOf('.') + 1
  const signature = Buffer.from(token.slice(end), 'base64url')
  const order = BigInt('0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551')
  const s = order - BigInt(`0x${signature.subarray(32).toString('hex')}`)
  const other = Buffer.from(s.toString(16).padStart(64, '0'), 'hex')
  return (
    token.slice(0, end) + Buffer.concat([signature.subarray(0, 32), other]).toString('base64url')
  )
}

describe('createJwtCallerIdentifier', () => {
  it('says who asks, until when, and by which token', async () => {
    const { identify, sign, now } = createIdentifier()
    const token = await sign({ exp: now + 300.9 })
    expect(callerOf(await identify(token))).toEqual({
      issuer: 'platform',
      subject: 'job-1',
      claims: { iss: issuer.url, sub: 'job-1', aud: audience, iat: now, exp: now + 300.9 },
      tokenSha256: createHash('sha256').update(token).digest('base64url'),
      tokenId: expect.stringMatching(/^[\w-]{43}$/) as string,
      expiresAtSeconds: now + 300,
    })
  })

  it('knows a token by its jti, whatever else it says', async () => {
    const { identify, sign } = createIdentifier()
    const idOf = async (claims: Claims) => callerOf(await identify(await sign(claims))).tokenId
    const ids = await Promise.all([idOf({ jti: 'a' }), idOf({ jti: 'a', ref: 'x' })])
    expect(new Set(ids).size).toBe(1)
    expect(await idOf({ jti: 'b' })).not.toBe(ids[0])
  })

  it.each([{}, { jti: '' }, { jti: 7 }])(
    'knows a token with %j by what is signed, however its signature is written',
    async (claims) => {
      const { identify, sign } = createIdentifier()
      const key = createIssuerKey('curved', 'ES256')
      issuer.publish(first, key)
      const token = await sign(claims, key)
      const { tokenId } = callerOf(await identify(token))
      const other = withOtherSignature(token)
      expect(other).not.toBe(token)
      expect(callerOf(await identify(other)).tokenId).toBe(tokenId)
      expect(callerOf(await identify(await sign({ ...claims, ref: 'x' }, key))).tokenId).not.toBe(
        tokenId,
      )
    },
  )

  it('gives claims that nobody can change and that have nothing of their own', async () => {
    const { identify, sign } = createIdentifier()
    const { claims } = callerOf(await identify(await sign({ groups: [{ name: 'a' }] })))
    const groups = claims['groups'] as readonly object[]
    for (const value of [claims, groups, groups[0]]) expect(Object.isFrozen(value)).toBe(true)
    expect('constructor' in claims).toBe(false)
    expect(Object.getPrototypeOf(groups[0])).toBeNull()
  })

  it('keeps of a long subject what the ledger takes', async () => {
    const { identify, sign } = createIdentifier()
    const { subject, claims } = callerOf(
      await identify(await sign({ sub: '😀'.repeat(300) + 'é' })),
    )
    expect(subject).toBe('😀'.repeat(256))
    expect(claims['sub']).toHaveLength(601)
    const odd = callerOf(await identify(await sign({ sub: `x${'😀'.repeat(300)}` }))).subject
    expect(odd).toHaveLength(512)
    expect(odd.isWellFormed()).toBe(true)
  })

  it('verifies with the algorithm that the token names among those listed', async () => {
    const elliptic = createIssuerKey('elliptic', 'ES256')
    issuer.publish(first, elliptic)
    const { identify, sign } = createIdentifier()
    expect(reasonOf(await identify(await sign({}, elliptic)))).toBe('proven')
    expect(reasonOf(await identify(await sign({}, first)))).toBe('proven')
  })

  it('needs no key id where the issuer shows one key, and needs it where it shows two', async () => {
    const { identify, sign } = createIdentifier()
    expect(reasonOf(await identify(await sign({}, first, { kid: undefined })))).toBe('proven')
    issuer.publish(first, second)
    const later = createIdentifier()
    expect(reasonOf(await later.identify(await later.sign({}, first, { kid: undefined })))).toBe(
      'caller_key_unknown',
    )
  })

  it('asks the issuer once for a thousand callers at the same time', async () => {
    const { identify, sign } = createIdentifier()
    const token = await sign()
    const callers = await Promise.all(Array.from({ length: 1000 }, () => identify(token)))
    expect(new Set(callers.map(reasonOf))).toEqual(new Set(['proven']))
    expect(new Set(callers.map(callerOf)).size).toBe(1)
    expect(issuer.asked).toHaveLength(2)
  })

  it('remembers a token that it verified, and none that it refused', async () => {
    const { identify, sign } = createIdentifier()
    const token = await sign()
    const caller = callerOf(await identify(token))
    expect(callerOf(await identify(token))).toBe(caller)
    const forged = await sign({}, createIssuerKey('first'))
    expect(reasonOf(await identify(forged))).toBe('caller_signature_wrong')
    expect(reasonOf(await identify(forged))).toBe('caller_signature_wrong')
  })

  it('knows at once whose token it is that it verified, and says nothing of others', async () => {
    const { identify, known, sign, clock } = createIdentifier()
    const token = await sign()
    expect(known(token)).toBeUndefined()
    const caller = callerOf(await identify(token))
    expect(known(token)).toBe(caller)
    expect(known(await sign({ sub: 'job-2' }))).toBeUndefined()
    clock.advance(300)
    expect(known(token)).toBeUndefined()
  })

  it('judges a remembered token anew after five minutes', async () => {
    const { identify, sign, clock } = createIdentifier()
    const token = await sign()
    const caller = callerOf(await identify(token))
    clock.advance(300)
    const again = callerOf(await identify(token))
    expect(again).toEqual(caller)
    expect(again).not.toBe(caller)
  })

  it('does not remember a token beyond its expiry', async () => {
    const { identify, sign, clock, now } = createIdentifier()
    const token = await sign({ exp: now + 100 })
    clock.advance(99)
    expect(reasonOf(await identify(token))).toBe('proven')
    clock.advance(1)
    expect(reasonOf(await identify(token))).toBe('caller_token_expired')
  })

  it('does not remember a token whose key the issuer withdrew', async () => {
    const { identify, sign } = createIdentifier()
    const token = await sign()
    expect(reasonOf(await identify(token))).toBe('proven')
    issuer.publish(second)
    expect(reasonOf(await identify(await sign({}, second)))).toBe('proven')
    expect(reasonOf(await identify(token))).toBe('caller_key_unknown')
  })

  it('notices within five minutes that a key was withdrawn, though nobody uses another', async () => {
    const { identify, sign, clock } = createIdentifier()
    const token = await sign()
    await identify(token)
    issuer.publish(second)
    clock.advance(299)
    expect(reasonOf(await identify(token))).toBe('proven')
    clock.advance(1)
    expect(reasonOf(await identify(token))).toBe('caller_key_unknown')
  })

  it('fails, instead of refusing, while the issuer cannot be asked', async () => {
    issuer.answer(keysPath, { raw: (_, response) => response.destroy() })
    const { identify, sign, away } = createIdentifier()
    const failure = identify(await sign())
    await expect(failure).rejects.toMatchObject({
      name: 'CallerError',
      code: 'ISSUER_UNREACHABLE',
      message: 'ISSUER_UNREACHABLE: platform',
    })
    expect(away).toHaveLength(1)
  })

  it('serves those it can while the issuer is away, and says that it is', async () => {
    const { identify, sign, clock, away } = createIdentifier()
    await identify(await sign())
    issuer.answer(keysPath, { raw: (_, response) => response.writeHead(500).end() })
    clock.advance(600)
    expect(reasonOf(await identify(await sign({ jti: 'another' })))).toBe('proven')
    expect(away.map(({ code }) => code)).toEqual(['ISSUER_UNREACHABLE'])
  })

  it('asks nobody about a token that no listed issuer made', async () => {
    const { identify, sign } = createIdentifier()
    expect(reasonOf(await identify(await sign({ iss: 'http://127.0.0.1:9' })))).toBe(
      'caller_issuer_unknown',
    )
    expect(reasonOf(await identify(await sign({}, first, { alg: 'PS256' })))).toBe(
      'caller_algorithm_refused',
    )
    expect(reasonOf(await identify('x'.repeat(100_000)))).toBe('caller_token_malformed')
    expect(issuer.asked).toEqual([])
  })
})
