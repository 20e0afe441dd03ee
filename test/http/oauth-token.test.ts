import { decodeJwt } from 'jose'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { expectNothingPrivate } from '../support/problems.ts'
import {
  cast,
  defaultGrants,
  startTestService,
  type Answer,
  type AskOptions,
  type GrantFile,
  type TestService,
} from '../support/test-service.ts'

const onceAMinute: GrantFile = {
  grant: 'once-a-minute',
  caller: { issuer: 'gitlab', claims: { project_id: '20' } },
  may: [{ application: 'events', tenant: cast.fabrikam, scopes: [cast.orders] }],
  limits: { perMinute: 1 },
}

let service: TestService

beforeAll(async () => {
  service = await startTestService({ grants: [...defaultGrants, onceAMinute] })
})
afterAll(() => service.stop())

// So many lines of a minute are written for each reason, and no more.
beforeEach(() => {
  service.emulator.clock.shift(60)
})

const route = 'POST /oauth2/token'
const resource = 'https://orders.example'
const tokenType = (name: string) => `urn:ietf:params:oauth:token-type:${name}`

type Form = Readonly<Record<string, string>>

const clientForm = (token: string): Form => ({
  grant_type: 'client_credentials',
  client_id: `events/${cast.fabrikam}`,
  client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
  client_assertion: token,
  scope: cast.orders,
})

const exchangeForm = (token: string): Form => ({
  grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
  subject_token: token,
  subject_token_type: tokenType('jwt'),
  audience: `events/${cast.fabrikam}`,
  resource,
})

const without = (form: Form, name: string): Form =>
  Object.fromEntries(Object.entries(form).filter(([one]) => one !== name))

const assertionForm = (token: string): Form => ({
  ...without(exchangeForm(token), 'resource'),
  audience: `deploy/${cast.fabrikam}`,
  requested_token_type: tokenType('jwt'),
})

const ask = (form: Form, options: AskOptions = {}) => service.ask(route, { form, ...options })

const workload = () => service.callerToken('fabrikam-orders')
const job = () => service.callerToken('github')

/** Asserts the words, that there is nothing else in the body, and that no answer may be kept. */
function expectError(answer: Answer, status: number, error: string, description?: RegExp): void {
  expect(answer.body).toEqual({
    error,
    error_description: expect.stringMatching(description ?? /./) as unknown,
  })
  expect(answer.status).toBe(status)
  expect(answer.headers['content-type']).toBe('application/json')
  expect(answer.headers['cache-control']).toBe('no-store')
}

describe('client credentials', () => {
  test('give a token of the tenant that the client id names', async () => {
    service.newEntries()
    const answer = await ask(clientForm(await workload()))

    expect(answer.body).toEqual({
      access_token: expect.any(String) as unknown,
      token_type: 'Bearer',
      expires_in: expect.any(Number) as unknown,
      scope: cast.orders,
    })
    const { access_token } = answer.body as { access_token: string }
    expect(decodeJwt(access_token)).toMatchObject({ tid: cast.fabrikam, aud: resource })
    const attempt = answer.headers['countersign-attempt']
    const issued = service.newEntries().find(({ kind }) => kind === 'token.issued')
    expect(issued).toMatchObject({ attempt, grant: 'fabrikam-orders', scope: cast.orders })
  })

  test('are the same token that /v1/token gives, which is signed for once', async () => {
    const token = await workload()
    const json = { application: 'events', tenant: cast.fabrikam, scope: cast.orders }
    const plain = await service.ask('POST /v1/token', { token, json })
    const signedBefore = service.vaultRecords().length
    const answer = await ask(clientForm(token))

    const { access_token } = answer.body as { access_token: string }
    expect(access_token).toBe((plain.body as { access_token: string }).access_token)
    expect(service.vaultRecords()).toHaveLength(signedBefore)
  })

  test.each([
    ['a resource in place of the scope', (form: Form) => ({ ...without(form, 'scope'), resource })],
    ['both of them where they agree', (form: Form) => ({ ...form, resource: `${resource}/` })],
    ['a parameter that nobody knows', (form: Form) => ({ ...form, nonce: '1', __proto__x: '2' })],
    ['a parameter without a value', (form: Form) => ({ ...form, resource: '' })],
    // `curl --data-urlencode client_assertion@FILE` sends it.
    [
      'the line break at the end of the file of a token',
      (form: Form) => ({ ...form, client_assertion: `${form['client_assertion'] ?? ''}\r\n` }),
    ],
  ])('take %s', async (_, change) => {
    const answer = await ask(change(clientForm(await workload())))
    expect(answer.status, answer.text).toBe(200)
  })

  test('take what comes to the path with a query, or as another writing of the media type', async () => {
    const form = clientForm(await workload())
    const withQuery = await service.ask(`${route}?x=1`, { form })
    const typed = await ask(form, {
      headers: { 'content-type': 'Application/X-WWW-Form-Urlencoded; charset=UTF-8' },
    })
    expect([withQuery.status, typed.status]).toEqual([200, 200])
  })
})

describe('a token exchange', () => {
  test.each([
    ['without a wish', {}],
    ['for an access token', { requested_token_type: tokenType('access_token') }],
    ['of an id token', { subject_token_type: tokenType('id_token') }],
    ['of an access token', { subject_token_type: tokenType('access_token') }],
    ['with a client id', { client_id: 'whoever' }],
  ])('%s gives a token', async (_, more) => {
    const answer = await ask({ ...exchangeForm(await job()), ...more })

    expect(answer.body).toEqual({
      access_token: expect.any(String) as unknown,
      issued_token_type: tokenType('access_token'),
      token_type: 'Bearer',
      expires_in: expect.any(Number) as unknown,
      scope: cast.orders,
    })
  })

  test('for a JWT gives a fresh assertion each time, which is no bearer token', async () => {
    const token = await job()
    service.newEntries()
    const answers = [await ask(assertionForm(token)), await ask(assertionForm(token))]

    for (const { body } of answers) {
      expect(body).toEqual({
        access_token: expect.any(String) as unknown,
        issued_token_type: tokenType('jwt'),
        token_type: 'N_A',
        expires_in: expect.any(Number) as unknown,
      })
    }
    const [first, second] = answers.map(
      ({ body }) => (body as { access_token: string }).access_token,
    )
    expect(decodeJwt(first ?? '')).toMatchObject({ iss: cast.deployClientId })
    expect(second).not.toBe(first)
    const issued = service.newEntries().filter(({ kind }) => kind === 'assertion.issued')
    expect(issued).toHaveLength(2)
  })

  test('of a token that nobody signed is an invalid request', async () => {
    const token = await service.callerToken('github', { wrong: 'signature' })
    const answer = await ask(exchangeForm(token))

    expectError(answer, 400, 'invalid_request', /^The caller token was not accepted\./)
    expectNothingPrivate(answer, service, { token })
  })

  test('for what no grant gives has an invalid target', async () => {
    const token = await job()
    const answer = await ask({ ...exchangeForm(token), audience: `events/${cast.northwind}` })

    expectError(answer, 400, 'invalid_target', /^No grant allows this caller/)
    expectNothingPrivate(answer, service, { token })
  })
})

/** Requests that say what they want wrongly, whoever sends them. */
const wrong: readonly (readonly [
  what: string,
  form: (form: Form) => Form,
  status: number,
  error: string,
  description: RegExp,
])[] = [
  [
    'no grant type',
    (f) => without(f, 'grant_type'),
    400,
    'invalid_request',
    /grant_type is missing/,
  ],
  [
    'passwords',
    (f) => ({ ...f, grant_type: 'password', username: 'eve-was-here', password: 'eve-was-here' }),
    400,
    'unsupported_grant_type',
    /grant types are/,
  ],
  [
    'a secret',
    (f) => ({ ...f, client_secret: 'eve-was-here' }),
    401,
    'invalid_client',
    /^Send no secret/,
  ],
  ['no client id', (f) => without(f, 'client_id'), 400, 'invalid_request', /client_id is missing/],
  [
    'a client id without a tenant',
    (f) => ({ ...f, client_id: 'events' }),
    401,
    'invalid_client',
    /^The client_id must be APPLICATION/,
  ],
  [
    'a client id with more behind',
    (f) => ({ ...f, client_id: `events/${cast.fabrikam}/x` }),
    401,
    'invalid_client',
    /^The client_id must be APPLICATION/,
  ],
  [
    'an assertion of another type',
    (f) => ({
      ...f,
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:saml2-bearer',
    }),
    401,
    'invalid_client',
    /client_assertion_type is not one/,
  ],
  [
    'an assertion without its type',
    (f) => without(f, 'client_assertion_type'),
    400,
    'invalid_request',
    /come together/,
  ],
  [
    'a type without its assertion',
    (f) => without(f, 'client_assertion'),
    400,
    'invalid_request',
    /come together/,
  ],
  ['no scope', (f) => without(f, 'scope'), 400, 'invalid_scope', /^Say by scope or resource/],
  ['two scopes', (f) => ({ ...f, scope: 'a b' }), 400, 'invalid_scope', /^The scope must be one/],
  [
    'a resource that is none',
    (f) => ({ ...without(f, 'scope'), resource: 'orders' }),
    400,
    'invalid_target',
    /^The resource must be/,
  ],
  [
    'a resource that is not the one of its scope',
    (f) => ({ ...f, resource: 'https://vault.azure.net' }),
    400,
    'invalid_target',
    /another resource/,
  ],
]

const wrongExchanges: typeof wrong = [
  [
    'no token',
    (f) => without(f, 'subject_token'),
    400,
    'invalid_request',
    /subject_token is missing/,
  ],
  [
    'a SAML token',
    (f) => ({ ...f, subject_token_type: tokenType('saml2') }),
    400,
    'invalid_request',
    /subject_token_type is not one/,
  ],
  [
    'an actor',
    (f) => ({ ...f, actor_token: 'eve-was-here', actor_token_type: tokenType('jwt') }),
    400,
    'invalid_request',
    /^Send one token/,
  ],
  [
    'a client that authenticates itself',
    (f) => ({ ...f, client_assertion: 'eve-was-here' }),
    400,
    'invalid_request',
    /^Send one token/,
  ],
  ['no audience', (f) => without(f, 'audience'), 400, 'invalid_request', /audience is missing/],
  [
    'an audience without a tenant',
    (f) => ({ ...f, audience: 'events' }),
    400,
    'invalid_target',
    /^The audience must be APPLICATION/,
  ],
  [
    'a wish for a refresh token',
    (f) => ({ ...f, requested_token_type: tokenType('refresh_token') }),
    400,
    'invalid_request',
    /requested_token_type is not one/,
  ],
  [
    'an assertion for one resource',
    (f) => ({ ...f, requested_token_type: tokenType('jwt') }),
    400,
    'invalid_target',
    /leave scope and resource out/,
  ],
]

describe('a request', () => {
  test.each(wrong)('with %s is refused before anybody is asked who it is', async (...row) => {
    const [, change, status, error, description] = row
    await expectRefused(change(clientForm('not-a-token')), status, error, description)
  })

  test.each(wrongExchanges)('for an exchange with %s is refused likewise', async (...row) => {
    const [, change, status, error, description] = row
    await expectRefused(change(exchangeForm('not-a-token')), status, error, description)
  })

  async function expectRefused(form: Form, status: number, error: string, description: RegExp) {
    service.newEntries()
    const logged = service.log().length
    const answer = await ask(form)

    expectError(answer, status, error, description)
    expect(answer.headers['www-authenticate']).toBeUndefined()
    expect(answer.text).not.toContain('eve-was-here')
    expect(service.newEntries()).toEqual([])
    expect(service.log().slice(logged)).toEqual([])
  }

  test.each(['Basic', 'Bearer', 'DPoP'])(
    'with Authorization: %s is refused before its body is read',
    async (scheme) => {
      const answer = await ask(clientForm(await workload()), {
        headers: { authorization: `${scheme} ZXZlLXdhcy1oZXJl` },
      })

      expectError(answer, 401, 'invalid_client', /^Send no secret/)
      const challenge = scheme === 'Basic' ? 'Basic realm="countersign"' : 'Bearer'
      expect(answer.headers['www-authenticate']).toBe(challenge)
      expect(answer.text + service.log().join('\n')).not.toContain('ZXZlLXdhcy1oZXJl')
    },
  )

  test.each([
    ['Origin', { origin: 'https://evil.example' }],
    ['Sec-Fetch-Site', { 'sec-fetch-site': 'cross-site' }],
  ])('from a browser, by its %s, is refused', async (_, headers) => {
    const answer = await ask(clientForm(await workload()), { headers })
    expectError(answer, 400, 'invalid_request', /^A page of another site/)
  })

  test.each([
    ['application/json', '{"grant_type":"client_credentials"}'],
    ['multipart/form-data; boundary=x', '--x--'],
  ])('in %s is refused', async (type, body) => {
    const answer = await service.ask(route, { body, headers: { 'content-type': type } })
    expectError(answer, 400, 'invalid_request', /application\/x-www-form-urlencoded/)
  })

  test('that is larger than any that means something is refused', async () => {
    const form = clientForm('A'.repeat(33 * 1024))
    expectError(await ask(form), 400, 'invalid_request', /^Send a body of at most 32768 bytes/)
  })

  test.each([
    ['scope', 'invalid_request', /^Send each parameter once/],
    ['resource', 'invalid_target', /^A token is for one audience and one resource/],
    ['audience', 'invalid_target', /^A token is for one audience and one resource/],
  ])('with two of %s is refused', async (name, error, description) => {
    const form = new URLSearchParams(clientForm('not-a-token'))
    form.delete(name)
    form.append(name, 'a')
    form.append(name, 'b')
    const answer = await service.ask(route, {
      body: form.toString(),
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
    })
    expectError(answer, 400, error, description)
  })

  test('by another method is told which one there is', async () => {
    const { status, headers } = await service.ask('GET /oauth2/token')
    expect([status, headers.allow]).toEqual([405, 'POST'])
  })
})

describe('a caller', () => {
  test('without any proof is told to send one', async () => {
    const form = without(without(clientForm(''), 'client_assertion'), 'client_assertion_type')
    const answer = await ask(form)

    expectError(answer, 401, 'invalid_client', /^Send the caller token as client_assertion/)
    expect(answer.headers['www-authenticate']).toBeUndefined()
  })

  test.each([
    ['no JWT', () => Promise.resolve('not-a-token'), 'caller_token_malformed'],
    ['no JWT for a space behind it', async () => `${await workload()} `, 'caller_token_malformed'],
    ['longer than any', () => Promise.resolve('A'.repeat(17_000)), 'caller_token_malformed'],
    [
      'for somebody else',
      () => service.callerToken('github', { wrong: 'audience' }),
      'caller_audience_wrong',
    ],
    ['expired', () => service.callerToken('github', { wrong: 'expired' }), 'caller_token_expired'],
  ])('whose token is %s is turned away, counted and not written down', async (_, make, reason) => {
    const token = await make()
    service.newEntries()
    const answer = await ask(clientForm(token))

    expectError(answer, 401, 'invalid_client', /^The caller token was not accepted\./)
    expectNothingPrivate(answer, service, { token })
    expect(service.newEntries()).toEqual([])
    const attempt = String(answer.headers['countersign-attempt'])
    const lines = service.log().filter((line) => line.includes(attempt))
    expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual([
      expect.objectContaining({ msg: 'turned away', reason }),
    ])
  })

  test('that a grant names is refused what it does not allow, and it is written down', async () => {
    const token = await workload()
    service.newEntries()
    const answer = await ask({ ...clientForm(token), client_id: `payments/${cast.fabrikam}` })

    expectError(answer, 400, 'unauthorized_client', /^No grant allows this caller/)
    expectNothingPrivate(answer, service, { token })
    expect(service.newEntries()).toEqual([
      expect.objectContaining({
        kind: 'request.refused',
        reason: 'grant_missing',
        attempt: answer.headers['countersign-attempt'],
        application: 'payments',
      }),
    ])
  })

  test('that has used up its limit is told when to come again', async () => {
    const token = await service.callerToken('gitlab')
    const first = await ask(clientForm(token))
    const second = await ask(clientForm(token))

    expect(first.status, first.text).toBe(200)
    expectError(second, 429, 'temporarily_unavailable', /^Wait, and keep/)
    expect(Number(second.headers['retry-after'])).toBeGreaterThan(0)
  })

  test('whose resource the tenant does not have is told the numbers of Entra', async () => {
    const answer = await ask({ ...clientForm(await workload()), scope: cast.absentResource })

    expectError(answer, 400, 'invalid_target', /Entra: 500011\.$/)
    expectNothingPrivate(answer, service)
  })
})

describe('the metadata', () => {
  test('is built from the public URL, whatever Host says', async () => {
    const answer = await service.ask('GET /.well-known/oauth-authorization-server', {
      headers: { host: 'evil.example', 'x-forwarded-host': 'evil.example' },
    })

    expect(answer.body).toEqual({
      issuer: cast.publicUrl,
      token_endpoint: `${cast.publicUrl}/oauth2/token`,
      response_types_supported: [],
      grant_types_supported: [
        'client_credentials',
        'urn:ietf:params:oauth:grant-type:token-exchange',
      ],
      token_endpoint_auth_methods_supported: ['private_key_jwt', 'none'],
      token_endpoint_auth_signing_alg_values_supported: ['RS256'],
    })
  })
})
