import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Secret } from '../../../src/base/secret.ts'
import { createOpenIdSignIn } from '../../../src/sign-in/openid-sign-in.ts'
import type { BegunSignIn } from '../../../src/sign-in/sign-in.ts'
import { type FixedClock, fixedClock } from '../../support/fixed-clock.ts'

type SignIn = ReturnType<typeof createOpenIdSignIn>

let server: Server
let issuer: string
let clock: FixedClock
let signIn: SignIn
let asked: string[]
let answers: Record<string, RequestListener>
beforeEach(async () => {
  asked = []
  answers = { '/.well-known/openid-configuration': json(200, () => metadata()) }
  server = createServer((request, response) => {
    const path = request.url ?? ''
    asked.push(path)
    answers[path]?.(request, response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  clock = fixedClock(Math.floor(Date.now() / 1000))
  signIn = createOpenIdSignIn({
    issuer,
    clientId: 'page',
    clientSecret: new Secret('a-client-secret-that-is-long-enough'),
    redirectUri: 'http://127.0.0.1/audit/signed-in',
    rules: [{ claim: 'team', anyOf: ['audit'] }],
    clock,
  })
})
afterEach(async () => {
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
  await signIn.close()
})

const json =
  (status: number, body: () => object): RequestListener =>
  (_, response) => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body()))
  }
const broken: RequestListener = (request) => {
  request.socket.destroy()
}
const metadata = () => ({
  issuer,
  authorization_endpoint: `${issuer}/authorize`,
  token_endpoint: `${issuer}/token`,
  jwks_uri: `${issuer}/keys`,
})

/** As many as look are told the same. */
const codesOf = async (all: readonly Promise<unknown>[]) =>
  (await Promise.allSettled(all)).map((one) =>
    one.status === 'fulfilled' ? 'ok' : (one.reason as { readonly code: unknown }).code,
  )

describe('an issuer', () => {
  test('that fails is asked once, however many sign in, and not again for a while', async () => {
    answers['/.well-known/openid-configuration'] = json(503, () => ({}))
    const told = await codesOf(Array.from({ length: 40 }, () => signIn.begin()))
    expect(new Set(told)).toEqual(new Set(['SIGN_IN_UNAVAILABLE']))
    expect(await codesOf([signIn.begin()])).toEqual(['SIGN_IN_UNAVAILABLE'])
    expect(asked).toHaveLength(1)
    clock.advance(6)
    answers['/.well-known/openid-configuration'] = json(200, metadata)
    const mended = await codesOf([signIn.begin(), signIn.begin()])
    expect(mended).toEqual(['ok', 'ok'])
    expect(asked).toHaveLength(2)
  })
})

const backWith = ({ state }: BegunSignIn) => `?code=some&state=${state}`

/** What the issuer makes of whoever comes back. */
async function codeOfFinish(): Promise<unknown> {
  const { begun } = await signIn.begin()
  const [code] = await codesOf([signIn.finish(backWith(begun), begun, undefined)])
  return code
}

describe('who comes back', () => {
  test.each([
    ['fails', json(500, () => ({}))],
    ['is overloaded', json(503, () => ({ error: 'temporarily_unavailable' }))],
    ['does not know the client', json(401, () => ({ error: 'invalid_client' }))],
    ['hangs up', broken],
  ] as const)('is not refused because the issuer %s', async (_, answer) => {
    answers['/token'] = answer
    expect(await codeOfFinish()).toBe('SIGN_IN_UNAVAILABLE')
  })

  test('is refused when the issuer does not know the code', async () => {
    answers['/token'] = json(400, () => ({ error: 'invalid_grant' }))
    expect(await codeOfFinish()).toBe('SIGN_IN_REFUSED')
  })

  test('is not refused because the keys of the issuer are away', async () => {
    const { begun } = await signIn.begin()
    answers['/token'] = json(200, () => tokens(begun.nonce))
    answers['/keys'] = broken
    const finishing = signIn.finish(backWith(begun), begun, undefined)
    expect(await codesOf([finishing])).toEqual(['SIGN_IN_UNAVAILABLE'])
    expect(asked).toContain('/keys')
  })

  test('takes one place for all that comes back with the same beginning', async () => {
    answers['/token'] = () => undefined
    const [{ begun }, other] = await Promise.all([signIn.begin(), signIn.begin()])
    const first = codesOf([signIn.finish(backWith(begun), begun, undefined)])
    const again = Array.from({ length: 20 }, () => signIn.finish(backWith(begun), begun, undefined))
    expect(new Set(await codesOf(again))).toEqual(new Set(['SIGN_IN_BUSY']))
    const another = codesOf([signIn.finish(backWith(other.begun), other.begun, undefined)])
    while (asked.filter((path) => path === '/token').length < 2) await wait(5)
    server.closeAllConnections()
    expect([await first, await another].flat()).not.toContain('SIGN_IN_BUSY')
  })
})

/** Somebody who begins anew each time, and is on the way back. */
const comingBack = async (network: string | undefined) => {
  const { begun } = await signIn.begin()
  return signIn.finish(backWith(begun), begun, network)
}

describe('of those who come back at once', () => {
  beforeEach(() => {
    answers['/token'] = () => undefined
  })
  const tokensAsked = () => asked.filter((path) => path === '/token').length

  test('a few are from one network, and others are not kept out by them', async () => {
    const strangers = Array.from({ length: 20 }, () => comingBack('203.0.113.9'))
    const told = codesOf(strangers)
    await expect.poll(tokensAsked).toBe(2)
    const others = codesOf(['198.51.100.1', '198.51.100.2'].map(comingBack))
    await expect.poll(tokensAsked).toBe(4)
    server.closeAllConnections()
    expect((await told).filter((code) => code === 'SIGN_IN_BUSY')).toHaveLength(18)
    expect(await others).toEqual(['SIGN_IN_UNAVAILABLE', 'SIGN_IN_UNAVAILABLE'])
    // Their places are free again.
    const again = codesOf([comingBack('203.0.113.9')])
    await expect.poll(tokensAsked).toBe(5)
    server.closeAllConnections()
    expect(await again).toEqual(['SIGN_IN_UNAVAILABLE'])
  })

  test.each([
    ['from everywhere', (n: number) => `203.0.113.${n}`],
    ['where all are from one network', () => undefined],
  ])('eight have a place, %s', async (_, networkOf) => {
    const all = Array.from({ length: 20 }, (_none, n) => comingBack(networkOf(n)))
    const told = codesOf(all)
    await expect.poll(tokensAsked).toBe(8)
    server.closeAllConnections()
    expect((await told).filter((code) => code === 'SIGN_IN_BUSY')).toHaveLength(12)
  })
})

describe('what was begun', () => {
  test('is good once, whatever came of it', async () => {
    answers['/token'] = json(500, () => ({}))
    const { begun } = await signIn.begin()
    const finish = () => codesOf([signIn.finish(backWith(begun), begun, undefined)])
    expect(await finish()).toEqual(['SIGN_IN_UNAVAILABLE'])
    const before = asked.length
    answers['/token'] = json(400, () => ({ error: 'invalid_grant' }))
    expect(await finish()).toEqual(['SIGN_IN_REFUSED'])
    expect(asked).toHaveLength(before)
  })

  test('is not used up by whoever does not know its state', async () => {
    const { begun } = await signIn.begin()
    for (const query of ['', '?error=access_denied', '?code=some', '?code=some&state=other']) {
      expect(await codesOf([signIn.finish(query, begun, undefined)])).toEqual(['SIGN_IN_REFUSED'])
    }
    answers['/token'] = json(500, () => ({}))
    expect(await codesOf([signIn.finish(backWith(begun), begun, undefined)])).toEqual([
      'SIGN_IN_UNAVAILABLE',
    ])
  })

  test('is remembered for as many as come back in a while, and not for ever', async () => {
    answers['/token'] = json(500, () => ({}))
    const { begun } = await signIn.begin()
    const finishAs = (state: string) =>
      codesOf([signIn.finish(`?state=${state}`, { ...begun, state }, undefined)])
    // Without a code the issuer is not asked.
    for (let n = 0; n <= 10_000; n += 1) await finishAs(`state-${n}`)
    expect(await finishAs('state-10000')).toEqual(['SIGN_IN_REFUSED'])
    const finish = (state: string) =>
      codesOf([signIn.finish(`?code=some&state=${state}`, { ...begun, state }, undefined)])
    expect(await finish('state-1')).toEqual(['SIGN_IN_REFUSED'])
    expect(await finish('state-0')).toEqual(['SIGN_IN_UNAVAILABLE'])
  })
})

const base64url = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')

/** Signed by nobody. */
function tokens(nonce: string): object {
  const nowSeconds = Math.floor(Date.now() / 1000)
  const claims = {
    iss: issuer,
    aud: 'page',
    sub: 'ada',
    nonce,
    iat: nowSeconds,
    exp: nowSeconds + 60,
  }
  const id_token = `${base64url({ alg: 'RS256', kid: 'one' })}.${base64url(claims)}.${'A'.repeat(342)}`
  return { access_token: 'some', token_type: 'bearer', id_token }
}
