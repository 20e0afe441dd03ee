import { randomUUID } from 'node:crypto'
import { decodeJwt, decodeProtectedHeader } from 'jose'
import { expect, test } from 'vitest'
import type { TokenEndpointDials } from '../../../../src/emulator/entra/dials.ts'
import { tokenEndpointDialsSchema } from '../../../../src/emulator/entra/dials.ts'
import { faultSchema, type Fault } from '../../../../src/emulator/faults.ts'
import { createClientCertificate } from '../../../support/client-certificate.ts'
import {
  contoso,
  createTestEntra,
  deploy,
  events,
  fabrikam,
  northwind,
  origin,
  postToken,
  requestOf,
  signAssertion,
  tokenForm,
  type AssertionChanges,
} from '../../../support/emulated-entra.ts'

type TestEntra = Awaited<ReturnType<typeof createTestEntra>>

const struckBy = ({ faults }: TestEntra, kind: Fault['kind'], more: Partial<Fault> = {}) => {
  faults.add(faultSchema.parse({ at: 'token-endpoint', kind, ...more }))
}

const turn = ({ entra }: TestEntra, dials: Partial<TokenEndpointDials>) => {
  entra.dials.set(tokenEndpointDialsSchema.parse(dials))
}

/** One exchange with a changed assertion; the AADSTS code it was refused with, or 200. */
async function codeOf(test: TestEntra, changes: AssertionChanges = {}): Promise<unknown> {
  const assertion = await signAssertion(test.certificate, test.clock.nowSeconds(), changes)
  return codeOfForm(test, tokenForm(assertion))
}

async function codeOfForm(
  { entra }: TestEntra,
  form: string,
  options: Parameters<typeof postToken>[2] = {},
): Promise<unknown> {
  const { status, json } = await postToken(entra.service, form, options)
  return status === 200 ? 200 : (json['error_codes'] as unknown[])[0]
}

const goodForm = async ({ certificate, clock }: TestEntra, changes = {}) =>
  tokenForm(await signAssertion(certificate, clock.nowSeconds()), changes)

test('a documented assertion buys a token for its tenant, application and resource', async () => {
  const { entra, clock, certificate } = await createTestEntra()
  const assertion = await signAssertion(certificate, clock.nowSeconds())
  const answer = await postToken(entra.service, tokenForm(assertion))
  expect(answer.status).toBe(200)
  const { access_token, ...rest } = answer.json
  expect(rest).toEqual({ token_type: 'Bearer', expires_in: 3599, ext_expires_in: 3599 })
  expect(decodeJwt(String(access_token))).toMatchObject({
    aud: 'https://orders.example',
    appid: events,
    tid: fabrikam,
    oid: '11111111-0000-4000-8000-0000000000b1',
  })
  const { keys } = entra.accessTokens.jwks()
  expect(decodeProtectedHeader(String(access_token)).kid).toBe(keys[0]?.kid)
  expect(answer.headers).toMatchObject({
    'cache-control': 'no-store, no-cache',
    pragma: 'no-cache',
    'x-ms-clitelem': '1,0,0,,',
  })
})

test('a refusal has every member and header that Entra gives it', async () => {
  const test = await createTestEntra()
  const clientRequestId = randomUUID()
  const answer = await postToken(test.entra.service, await goodForm(test, { client_id: deploy }), {
    headers: { 'client-request-id': clientRequestId, 'return-client-request-id': 'true' },
  })
  const { trace_id, timestamp, error_description } = answer.json
  expect(answer.status).toBe(401)
  expect(answer.json).toEqual({
    error: 'invalid_client',
    error_description: expect.stringMatching(
      /^AADSTS700021: Client assertion application identifier doesn't match 'client_id' parameter\./,
    ) as unknown,
    error_codes: [700021],
    timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ$/) as unknown,
    trace_id: expect.stringMatching(/^[0-9a-f-]{36}$/) as unknown,
    correlation_id: clientRequestId,
    error_uri: `${origin}/error?code=700021`,
  })
  expect(error_description).toContain(
    ` Trace ID: ${String(trace_id)} Correlation ID: ${clientRequestId} Timestamp: ${String(timestamp)}`,
  )
  expect(answer.headers).toMatchObject({
    'x-ms-request-id': trace_id,
    'client-request-id': clientRequestId,
    'x-ms-clitelem': '1,700021,0,,',
  })
})

test('a client that is not who it says gets 401, any other mistake 400', async () => {
  const test = await createTestEntra()
  const wrongScope = await goodForm(test, { scope: 'https://orders.example/Read' })
  expect(await postToken(test.entra.service, wrongScope)).toMatchObject({ status: 400 })
  const wrongSecret = await goodForm(test, { client_secret: 'x' })
  expect(await postToken(test.entra.service, wrongSecret)).toMatchObject({ status: 401 })
})

test.each([
  ['PS256', {}],
  ['PS384', { alg: 'PS384' }],
  ['PS512', { alg: 'PS512' }],
  ['RS256', { alg: 'RS256' }],
  ['RS384', { alg: 'RS384' }],
  ['RS512', { alg: 'RS512' }],
  ['no typ', { typ: undefined }],
  ['the typ of RFC 10070', { typ: 'client-authentication+jwt' }],
])('an assertion with %s is accepted', async (_, header) => {
  expect(await codeOf(await createTestEntra(), { header })).toBe(200)
})

test('x5t and kid name the certificate as well as x5t#S256', async () => {
  const test = await createTestEntra()
  const { x5t, x5tS256 } = test.certificate
  const none = { 'x5t#S256': undefined }
  const hex = Buffer.from(x5t, 'base64url').toString('hex').toUpperCase()
  expect(await codeOf(test, { header: { ...none, x5t } })).toBe(200)
  expect(await codeOf(test, { header: { x5t, 'x5t#S256': x5tS256 } })).toBe(200)
  expect(await codeOf(test, { header: { ...none, kid: hex } })).toBe(200)
  expect(await codeOf(test, { header: none })).toBe(5002723)
  expect(await codeOf(test, { header: { x5t: 'AAAA', 'x5t#S256': x5tS256 } })).toBe(700027)
  expect(await codeOf(test, { header: { ...none, kid: 'another' } })).toBe(700027)
  turn(test, { keyIdOnly: 'refused' })
  expect(await codeOf(test, { header: { ...none, kid: hex } })).toBe(5002723)
})

test.each<[string, number, AssertionChanges]>([
  ['an extension that must be understood', 50027, { header: { crit: ['b64'], b64: true } }],
  ['another issuer', 700021, { claims: { iss: deploy } }],
  ['another subject', 700021, { claims: { sub: deploy } }],
  ['no issuer', 90014, { claims: { iss: undefined } }],
  ['no audience', 90014, { claims: { aud: undefined } }],
  ['no expiry', 90014, { claims: { exp: undefined } }],
  ['an expiry that is no date', 50027, { claims: { exp: 1e300 } }],
  ["another tenant's audience", 700023, { claims: { aud: tokenUrl(northwind) } }],
  ['a slash behind the audience', 700023, { claims: { aud: `${tokenUrl(fabrikam)}/` } }],
  ['the issuer as audience', 700023, { claims: { aud: `${origin}/${fabrikam}/v2.0` } }],
  ['an array as audience', 700023, { claims: { aud: [tokenUrl(fabrikam)] } }],
  [
    'another thumbprint',
    700027,
    { header: { 'x5t#S256': 'EQMrMCaKZdT8TJ4u8tNB_PIW3CaemWU1cGp6FYm' } },
  ],
])('an assertion with %s is refused with %i', async (_, code, changes) => {
  expect(await codeOf(await createTestEntra(), changes)).toBe(code)
})

function tokenUrl(tenant: string): string {
  return `${origin}/${tenant}/oauth2/v2.0/token`
}

test('audience forms that Microsoft does not document are accepted only when the dial says so', async () => {
  const test = await createTestEntra()
  const issuer = { claims: { aud: `${origin}/${fabrikam}/v2.0` } }
  const array = { claims: { aud: [tokenUrl(fabrikam)] } }
  turn(test, { audiences: ['v2-token-endpoint', 'v2-issuer'], audienceArray: 'accepted' })
  expect(await codeOf(test, issuer)).toBe(200)
  expect(await codeOf(test, array)).toBe(200)
  turn(test, { audiences: ['v1-issuer', 'v1-token-endpoint'] })
  expect(await codeOf(test)).toBe(700023)
  expect(await codeOf(test, { claims: { aud: `${origin}/${fabrikam}/` } })).toBe(200)
  expect(await codeOf(test, { claims: { aud: `${origin}/${fabrikam}/oauth2/token` } })).toBe(200)
})

test('an unusual typ is refused only when the dial says so', async () => {
  const test = await createTestEntra()
  turn(test, { typ: 'jwt' })
  expect(await codeOf(test, { header: { typ: 'client-authentication+jwt' } })).toBe(5002727)
  expect(await codeOf(test)).toBe(200)
})

test('what is not a JWT is refused as malformed', async () => {
  const test = await createTestEntra()
  const good = await signAssertion(test.certificate, test.clock.nowSeconds())
  for (const malformed of ['x', 'a.b.c', `${good}.x`, `${good}=`, good.replace('.', '. ')]) {
    expect(await codeOfForm(test, tokenForm(malformed))).toBe(50027)
  }
})

test('an unsigned or symmetric algorithm is refused, and the supported ones are named', async () => {
  const test = await createTestEntra()
  const [, payload = ''] = (await signAssertion(test.certificate, 0)).split('.')
  for (const alg of ['none', 'HS256', 'ES256']) {
    const header = Buffer.from(JSON.stringify({ alg, typ: 'JWT' })).toString('base64url')
    const form = tokenForm(`${header}.${payload}.`)
    const { json } = await postToken(test.entra.service, form)
    expect(json['error_codes']).toEqual([5002738])
    expect(json['error_description']).toContain('PS256')
  }
})

test('a signature by another key is refused although the thumbprint is right', async () => {
  const test = await createTestEntra()
  const other = await createClientCertificate()
  const header = { 'x5t#S256': test.certificate.x5tS256 }
  const forged = await signAssertion(other, test.clock.nowSeconds(), { header })
  const { json } = await postToken(test.entra.service, tokenForm(forged))
  expect(json['error_codes']).toEqual([700027])
  expect(json['error_description']).toContain('Client assertion contains an invalid signature')
})

test('a certificate counts from the moment it is registered until it is unregistered', async () => {
  const test = await createTestEntra()
  const next = await createClientCertificate()
  const post = async () =>
    codeOfForm(test, tokenForm(await signAssertion(next, test.clock.nowSeconds())))
  expect(await post()).toBe(700027)
  test.entra.certificates.register('events', next.der)
  expect(await post()).toBe(200)
  expect(test.entra.certificates.unregister('events', next.x5tS256)).toBe(true)
  expect(await post()).toBe(700027)
  expect(test.entra.certificates.unregister('events', next.x5tS256)).toBe(false)
})

test('a certificate of one application does not speak for another', async () => {
  const test = await createTestEntra()
  const claims = { iss: deploy, sub: deploy }
  const assertion = await signAssertion(test.certificate, test.clock.nowSeconds(), { claims })
  expect(await codeOfForm(test, tokenForm(assertion, { client_id: deploy }))).toBe(700027)
})

test('a certificate outside its validity is refused, expired and future ones differently', async () => {
  const test = await createTestEntra()
  const now = test.clock.nowSeconds()
  const expired = await createClientCertificate({ notAfterSeconds: now - 60 })
  const future = await createClientCertificate({ notBeforeSeconds: now + 60 })
  test.entra.certificates.register('events', expired.der)
  test.entra.certificates.register('events', future.der)
  const { json } = await postToken(test.entra.service, tokenForm(await signAssertion(expired, now)))
  expect(json['error_codes']).toEqual([700027])
  expect(json['error_description']).toMatch(
    /The key used is expired\., Thumbprint .*'Start=\d\d\/\d\d\/\d{4} \d\d:\d\d:\d\d, End=/,
  )
  expect(await codeOfForm(test, tokenForm(await signAssertion(future, now)))).toBe(1000502)
})

test('an assertion lives from nbf to exp, widened on both sides by the skew', async () => {
  const test = await createTestEntra()
  const now = test.clock.nowSeconds()
  const at = (nbf: number | undefined, exp: number) => codeOf(test, { claims: { nbf, exp } })
  expect(await at(now + 290, now + 600)).toBe(200)
  expect(await at(now + 310, now + 600)).toBe(700024)
  expect(await at(now - 600, now - 290)).toBe(200)
  expect(await at(now - 600, now - 310)).toBe(700024)
  expect(await at(undefined, now + 10 * 365 * 86_400)).toBe(200)
  turn(test, { skewSeconds: 0 })
  expect(await at(now + 10, now + 600)).toBe(700024)
  expect(await at(now - 600, now - 1)).toBe(700024)
  expect(await at(now - 600, now + 60)).toBe(200)
})

test('an expired assertion is told the time, as Entra tells it', async () => {
  const test = await createTestEntra()
  const claims = { nbf: undefined, exp: 1_700_000_000 }
  const assertion = await signAssertion(test.certificate, test.clock.nowSeconds(), { claims })
  const { json } = await postToken(test.entra.service, tokenForm(assertion))
  expect(json['error_description']).toMatch(
    /Current time: 20.*Z, assertion valid from 1970-01-01T00:00:00\.000Z, expiry time of assertion 2023-11-14T22:13:20\.000Z/,
  )
})

test('one assertion serves twice, unless the replay dial forbids it', async () => {
  const test = await createTestEntra()
  const form = await goodForm(test)
  expect(await codeOfForm(test, form)).toBe(200)
  expect(await codeOfForm(test, form)).toBe(200)
  turn(test, { replay: 'refused' })
  expect(await codeOfForm(test, form)).toBe(200)
  expect(await codeOfForm(test, form)).toBe(50012)
  expect(await codeOfForm(test, await goodForm(test))).toBe(200)
  expect(await codeOf(test, { claims: { jti: undefined } })).toBe(50012)
})

test.each([
  ['no tenant of that id', '00000000-0000-4000-8000-000000000000', 90002],
  ['no tenant of that domain', 'nowhere.example', 90002],
  ['neither id nor domain', 'nowhere', 900023],
  ['a path for people', 'common', 9001023],
])('%s is refused', async (_, tenant, code) => {
  const test = await createTestEntra()
  expect(await codeOfForm(test, await goodForm(test), { tenant })).toBe(code)
})

test('a tenant may be named by its initial domain', async () => {
  const test = await createTestEntra()
  const options = { tenant: 'fabrikam.onmicrosoft.com' }
  expect(await codeOfForm(test, await goodForm(test), options)).toBe(200)
})

test('an application is refused where it is unknown and where it is not installed', async () => {
  const test = await createTestEntra()
  const unknown = await goodForm(test, { client_id: randomUUID() })
  expect(await codeOfForm(test, unknown)).toBe(700016)
  const absent = await goodForm(test, { client_id: deploy })
  expect(await codeOfForm(test, absent, { tenant: northwind })).toBe(700016)
})

test('a managed identity has no client assertion', async () => {
  const test = await createTestEntra()
  const identity = await goodForm(test, { client_id: '51000000-0000-4000-8000-0000000000c4' })
  expect(await codeOfForm(test, identity)).toBe(700016)
})

test.each([
  ['https://orders.example/.default', 200],
  ['https://orders.example//.default', 200],
  ['33333333-0000-4000-8000-000000000001/.default', 200],
  ['https://orders.example/Orders.Read', 1002012],
  ['https://orders.example', 1002012],
  ['/.default', 1002012],
  ['https://orders.example/.default openid', 1002012],
  ['https://orders.example/.default https://vault.azure.net/.default', 28002],
  ['https://orders.example/"/.default', 70011],
  [' https://orders.example/.default', 70011],
  ['https://nowhere.example/.default', 500011],
])('the scope %s comes to %i', async (scope, code) => {
  const test = await createTestEntra()
  expect(await codeOfForm(test, await goodForm(test, { scope }))).toBe(code)
})

test('a resource of other tenants does not exist in this one', async () => {
  const test = await createTestEntra()
  const contoso = 'c0c0c0c0-0000-4000-8000-000000000001'
  const claims = { aud: tokenUrl(contoso) }
  const assertion = await signAssertion(test.certificate, test.clock.nowSeconds(), { claims })
  expect(await codeOfForm(test, tokenForm(assertion), { tenant: contoso })).toBe(500011)
})

test.each([
  ['without grant type', { grant_type: undefined }, 900144],
  ['without client', { client_id: undefined }, 900144],
  ['without scope', { scope: undefined }, 90014],
  ['without assertion', { client_assertion: undefined }, 7000218],
  ['without assertion type', { client_assertion_type: undefined }, 900144],
  ['with another assertion type', { client_assertion_type: 'jwt' }, 9002313],
  ['for another grant', { grant_type: 'password' }, 70003],
  ['in the v1 way', { resource: 'https://orders.example' }, 901002],
  ['with a secret', { client_secret: 'guess', client_assertion: undefined }, 7000215],
  ['with parameters of a telemetry', { 'x-client-SKU': 'msal.js.node', h429: '1' }, 200],
])('a form %s comes to its code', async (_, changes, code) => {
  const test = await createTestEntra()
  expect(await codeOfForm(test, await goodForm(test, changes))).toBe(code)
})

test('a parameter must not be repeated', async () => {
  const test = await createTestEntra()
  const form = `${await goodForm(test)}&scope=https%3A%2F%2Forders.example%2F.default`
  expect(await codeOfForm(test, form)).toBe(9002313)
})

test('a body that does not call itself a form is read as empty', async () => {
  const test = await createTestEntra()
  const headers = { 'content-type': 'application/json' }
  expect(await codeOfForm(test, await goodForm(test), { headers })).toBe(900144)
})

test.each([
  ['application-disabled', 7000112],
  ['conditional-access', 53003],
  ['assignment-required', 501051],
  ['request-loop', 50196],
  ['tenant-throttled', 90055],
] as const)('%s refuses a proven client with %i until it is lifted', async (reason, code) => {
  const test = await createTestEntra()
  const block = { tenant: 'fabrikam', client: 'events', reason }
  test.entra.blocks.put(block)
  expect(await codeOf(test)).toBe(code)
  test.entra.blocks.lift(block)
  expect(await codeOf(test)).toBe(200)
})

test('each request leaves one record, which never holds the assertion or the token', async () => {
  const test = await createTestEntra()
  const assertion = await signAssertion(test.certificate, test.clock.nowSeconds())
  const clientRequestId = randomUUID()
  const headers = { 'client-request-id': clientRequestId }
  const { json } = await postToken(test.entra.service, tokenForm(assertion), { headers })
  await codeOfForm(test, await goodForm(test, { scope: 'https://nowhere.example/.default' }))
  await codeOfForm(test, '')
  const [issued, refused, unread, ...others] = test.entra.exchanges.records()
  expect(issued).toMatchObject({
    tenant: fabrikam,
    clientId: events,
    scope: 'https://orders.example/.default',
    clientRequestId,
    correlationId: clientRequestId,
    outcome: {
      kind: 'issued',
      uti: decodeJwt(String(json['access_token']))['uti'],
      certificate: test.certificate.x5tS256,
    },
  })
  expect(issued?.assertionSha256).toMatch(/^[0-9a-f]{64}$/)
  expect(refused?.outcome).toEqual({ kind: 'refused', code: 500011 })
  expect(unread).toMatchObject({ clientId: undefined, outcome: { kind: 'refused', code: 900144 } })
  expect(others).toEqual([])
  const text = JSON.stringify(test.entra.exchanges.records())
  expect(text).not.toContain(assertion)
  expect(text).not.toContain(json['access_token'])
})

test('a throttled endpoint says when to come back, in no JSON, and issues nothing', async () => {
  const test = await createTestEntra()
  struckBy(test, 'throttle')
  const { entra } = test
  const path = `/${fabrikam}/oauth2/v2.0/token`
  const reply = await entra.service(requestOf('POST', path, { body: await goodForm(test) }))
  expect(reply).toMatchObject({ status: 429, headers: { 'retry-after': '1' } })
  expect(reply).toHaveProperty('body', Buffer.from('Too Many Requests'))
  expect(entra.exchanges.records()).toMatchObject([
    { outcome: { kind: 'not-served' }, fault: 'throttle' },
  ])
  expect(await codeOf(test)).toBe(200)
})

test('an outage answers with the status it was given', async () => {
  const test = await createTestEntra()
  struckBy(test, 'server-error', { status: 504 })
  expect(await postToken(test.entra.service, await goodForm(test))).toMatchObject({
    status: 504,
    json: { error_codes: [90033] },
  })
})

test('an outage before and one after the token was minted look alike, and only the record tells', async () => {
  const test = await createTestEntra()
  struckBy(test, 'server-error', { status: 504 })
  struckBy(test, 'server-error-after', { status: 504 })
  const form = await goodForm(test)
  for (let time = 0; time < 2; time += 1) {
    expect(await postToken(test.entra.service, form)).toMatchObject({
      status: 504,
      json: { error_codes: [90033] },
    })
  }
  expect(test.entra.exchanges.records()).toMatchObject([
    { outcome: { kind: 'not-served' }, fault: 'server-error' },
    { outcome: { kind: 'issued' }, fault: 'server-error-after' },
  ])
})

test('a connection dropped before and one dropped after look alike, and only the record tells', async () => {
  const test = await createTestEntra()
  struckBy(test, 'drop-before')
  struckBy(test, 'drop-after')
  const form = await goodForm(test)
  await expect(postToken(test.entra.service, form)).rejects.toThrow('dropped')
  await expect(postToken(test.entra.service, form)).rejects.toThrow('dropped')
  expect(test.entra.exchanges.records().map(({ outcome }) => outcome.kind)).toEqual([
    'not-served',
    'issued',
  ])
})

test('a malformed answer is a 200 whose body ends in the middle', async () => {
  const test = await createTestEntra()
  struckBy(test, 'malformed')
  await expect(postToken(test.entra.service, await goodForm(test))).rejects.toThrow(SyntaxError)
})

test('a delayed answer is whole', async () => {
  const test = await createTestEntra()
  struckBy(test, 'delay', { delayMs: 50 })
  expect(await codeOf(test)).toBe(200)
})

/** For Graph in the tenant where `events` is registered, with changes. */
async function tokenWithClaims(
  { entra, clock, certificate }: TestEntra,
  claims: string,
  { tenant = contoso, scope = 'https://graph.microsoft.com/.default' } = {},
) {
  const aud = `${origin}/${tenant}/oauth2/v2.0/token`
  const assertion = await signAssertion(certificate, clock.nowSeconds(), { claims: { aud } })
  return postToken(entra.service, tokenForm(assertion, { scope, claims }), { tenant })
}

const cp1 = '{"access_token":{"xms_cc":{"values":["cp1"]}}}'

test('a client that can handle challenges gets a token of a day for Graph, and is told when to refresh it', async () => {
  const test = await createTestEntra()
  const lifetimes = new Set<number>()
  for (const claims of [
    cp1,
    cp1.replace('cp1', 'CP1'),
    cp1.replace('{"values"', '{"essential":false,"values"'),
  ]) {
    const { status, json } = await tokenWithClaims(test, claims)
    expect(status).toBe(200)
    const seconds = Number(json['expires_in'])
    expect(seconds).toBeGreaterThanOrEqual(20 * 3600)
    expect(seconds).toBeLessThanOrEqual(28 * 3600)
    expect(json).toMatchObject({ refresh_in: Math.floor(seconds / 2), ext_expires_in: seconds })
    const { xms_cc, exp = 0 } = decodeJwt(String(json['access_token']))
    expect(xms_cc).toEqual(['cp1'])
    expect(exp - test.clock.nowSeconds()).toBeGreaterThanOrEqual(seconds - 2)
    lifetimes.add(seconds)
  }
  expect(lifetimes.size).toBe(3)
})

test.each([
  ['it does not say so', '{"access_token":{"xms_cc":{"values":["cp2"]}}}', {}],
  ['it says so about another token', '{"id_token":{"xms_cc":{"values":["cp1"]}}}', {}],
  ['the resource takes no part', cp1, { scope: 'https://eventhubs.azure.net/.default' }],
  ['it is registered in another tenant', cp1, { tenant: fabrikam }],
] as const)('a client gets an ordinary token when %s', async (_, claims, changes) => {
  const { status, json } = await tokenWithClaims(await createTestEntra(), claims, changes)
  expect(status).toBe(200)
  expect(json).toMatchObject({ expires_in: 3599 })
  expect(json).not.toHaveProperty('refresh_in')
  expect(decodeJwt(String(json['access_token']))).not.toHaveProperty('xms_cc')
})

test.each(['{', '[]', '"cp1"', '{"access_token":[]}'])('claims %s are refused', async (claims) => {
  const { json } = await tokenWithClaims(await createTestEntra(), claims)
  expect(json).toMatchObject({ error: 'invalid_request', error_codes: [9002313] })
})
