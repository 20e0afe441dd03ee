import { decodeJwt } from 'jose'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { expectNothingPrivate } from '../support/problems.ts'
import { sendRaw } from '../support/raw-http.ts'
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
  service = await startTestService({
    grants: [...defaultGrants.map((one) => ({ ...one, longLived: true })), onceAMinute],
  })
})
afterAll(() => service.stop())

// So many lines of a minute are written for each reason, and no more.
beforeEach(() => {
  service.emulator.clock.shift(60)
})

const route = `POST /${cast.fabrikam}/oauth2/v2.0/token`
const elsewhere = 'eeee0000-0000-4000-8000-000000000005'
const clientRequestId = '0a1b2c3d-0000-4000-8000-00000000abcd'

type Form = Readonly<Record<string, string>>

const tokenForm = (token: string): Form => ({
  client_id: cast.eventsClientId,
  scope: cast.orders,
  grant_type: 'client_credentials',
  client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
  client_assertion: token,
})

const without = (form: Form, name: string): Form =>
  Object.fromEntries(Object.entries(form).filter(([one]) => one !== name))

const ask = (form: Form, options: AskOptions = {}) => service.ask(route, { form, ...options })
const workload = () => service.callerToken('fabrikam-orders')

interface Words {
  readonly status: number
  readonly error: string
  readonly number: number
  readonly text: RegExp
}

/** Asserts every member, and that description, numbers and ids agree with one another. */
function expectEntraError(answer: Answer, { status, error, number, text }: Words): void {
  const attempt = String(answer.headers['countersign-attempt'])
  const { error_description: description, timestamp } = answer.body as {
    error_description: string
    timestamp: string
  }
  expect(answer.body).toEqual({
    error,
    error_description: description,
    error_codes: [number],
    timestamp,
    trace_id: attempt,
    correlation_id: attempt,
  })
  expect(answer.status).toBe(status)
  expect(description).toMatch(text)
  expect(description.startsWith(`AADSTS${number}: `)).toBe(true)
  const ids = `Trace ID: ${attempt} Correlation ID: ${attempt} Timestamp: ${timestamp}`
  expect(description.endsWith(ids)).toBe(true)
  expect(answer.headers['x-ms-request-id']).toBe(attempt)
  expect(answer.headers['cache-control']).toBe('no-store')
}

/** Entra's own numbers are wanted here; nothing else of it is. */
const expectNothingElsePrivate = (answer: Answer, token?: string) => {
  const text = answer.text.replaceAll(/AADSTS\d+|Trace ID/g, '')
  expectNothingPrivate({ ...answer, text }, service, token === undefined ? {} : { token })
}

describe('a granted caller', () => {
  test("gets a token of the application in Entra's form", async () => {
    service.newEntries()
    const answer = await ask(tokenForm(await workload()))

    const { access_token, expires_in } = answer.body as { access_token: string; expires_in: number }
    expect(answer.body).toEqual({
      token_type: 'Bearer',
      expires_in,
      ext_expires_in: expires_in,
      access_token,
    })
    expect(decodeJwt(access_token)).toMatchObject({
      appid: cast.eventsClientId,
      tid: cast.fabrikam,
      aud: 'https://orders.example',
    })
    const attempt = answer.headers['countersign-attempt']
    expect(answer.headers['x-ms-request-id']).toBe(attempt)
    const issued = service.newEntries().find(({ kind }) => kind === 'token.issued')
    expect(issued).toMatchObject({ attempt, application: 'events', grant: 'fabrikam-orders' })
  })

  test.each([
    ['with two slashes in its scope', { scope: 'https://orders.example//.default' }],
    ['with its client id in capitals', { client_id: cast.eventsClientId.toUpperCase() }],
    ['with what MSAL tells of itself', { 'x-client-SKU': 'msal.js.node', 'x-client-OS': 'linux' }],
  ])('%s gets the same one', async (_, more) => {
    const token = await workload()
    const plain = await ask(tokenForm(token))
    const answer = await ask({ ...tokenForm(token), ...more })

    const tokenOf = ({ body }: Answer) => (body as { access_token: string }).access_token
    expect(tokenOf(answer)).toBe(tokenOf(plain))
  })

  test('that can handle claims challenges asks for a token of a day, as on /v1/token', async () => {
    const claims = JSON.stringify({
      id_token: { xms_cc: { values: ['cp1'] } },
      access_token: { xms_cc: { values: ['cp1'] } },
    })
    const form = tokenForm(await workload())
    service.newEntries()
    await ask(form)
    await ask({ ...form, claims })

    const issued = service.newEntries().filter((entry) => entry.kind === 'token.issued')
    expect(issued.map(({ longLived }) => longLived)).toEqual([undefined, true])
  })

  test.each([
    ['its query', `${route}?client-request-id=${clientRequestId}`, {}],
    ['a header', route, { 'client-request-id': clientRequestId.toUpperCase() }],
  ])('reads the client-request-id of %s in the answer', async (_, request, headers) => {
    const form = tokenForm(await workload())
    const answer = await service.ask(request, { form, headers })
    const refused = await service.ask(request, { form: tokenForm('not-a-token'), headers })

    expect(answer.status, answer.text).toBe(200)
    expect(answer.headers['client-request-id']).toBe(clientRequestId)
    expect(refused.headers['client-request-id']).toBe(clientRequestId)
    expect(refused.body).toMatchObject({ correlation_id: clientRequestId })
  })

  test('reads nothing in the answer that is no GUID', async () => {
    const request = `${route}?client-request-id=eve-was-here`
    const answer = await service.ask(request, { form: tokenForm('not-a-token') })

    expect(answer.headers['client-request-id']).toBeUndefined()
    expect(answer.text).not.toContain('eve-was-here')
  })
})

const malformed = { status: 400, error: 'invalid_request', number: 9002313 }
const secretRefused = { status: 401, error: 'invalid_client', number: 7000218, text: /no secret/ }
const applicationUnknown = { status: 400, error: 'unauthorized_client', number: 700016 }
const scopeInvalid = {
  status: 400,
  error: 'invalid_scope',
  number: 70011,
  text: /scope must be one resource/,
}

/** Requests that say what they want wrongly, whoever sends them. */
const wrong: readonly (readonly [what: string, form: (form: Form) => Form, words: Words])[] = [
  [
    'no grant type',
    (f) => without(f, 'grant_type'),
    { ...malformed, text: /grant_type is missing/ },
  ],
  [
    'passwords',
    (f) => ({ ...f, grant_type: 'password', password: 'eve-was-here' }),
    { status: 400, error: 'unsupported_grant_type', number: 70003, text: /client_credentials/ },
  ],
  ['a secret', (f) => ({ ...f, client_secret: 'eve-was-here' }), secretRefused],
  [
    'a SAML assertion',
    (f) => ({
      ...f,
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:saml2-bearer',
    }),
    { ...secretRefused, text: /client_assertion_type/ },
  ],
  [
    'an assertion without its type',
    (f) => without(f, 'client_assertion_type'),
    { ...malformed, text: /come together/ },
  ],
  ['no client id', (f) => without(f, 'client_id'), { ...malformed, text: /client_id is missing/ }],
  [
    'a name for a client id',
    (f) => ({ ...f, client_id: 'events' }),
    { ...applicationUnknown, text: /client_id/ },
  ],
  [
    'a client id that only looks like one',
    (f) => ({ ...f, client_id: 'z'.repeat(36) }),
    { ...applicationUnknown, text: /must be a GUID/ },
  ],
  ['no scope', (f) => without(f, 'scope'), { ...malformed, text: /scope is missing/ }],
  ['two resources', (f) => ({ ...f, scope: `${cast.orders} ${cast.eventHubs}` }), scopeInvalid],
  [
    'a delegated scope',
    (f) => ({ ...f, scope: 'https://orders.example/Orders.Read' }),
    scopeInvalid,
  ],
  [
    'claims that nobody could meet',
    (f) => ({ ...f, claims: '{"access_token":{"acr":{"essential":true}}}' }),
    { ...malformed, text: /claims must be JSON/ },
  ],
]

describe('a request', () => {
  test.each(wrong)('with %s is refused before anybody is asked who it is', async (...row) => {
    const [, change, words] = row
    service.newEntries()
    const logged = service.log().length
    const answer = await ask(change(tokenForm('not-a-token')))

    expectEntraError(answer, words)
    expect(answer.text).not.toContain('eve-was-here')
    expect(service.newEntries()).toEqual([])
    expect(service.log().slice(logged)).toEqual([])
  })

  test.each(['common', 'organizations', 'fabrikam.onmicrosoft.com'])(
    'for the tenant %s is refused: there are GUIDs alone',
    async (tenant) => {
      const form = tokenForm('not-a-token')
      const answer = await service.ask(`POST /${tenant}/oauth2/v2.0/token`, { form })
      const words = { status: 400, error: 'invalid_request', number: 90002, text: /must be a GUID/ }
      expectEntraError(answer, words)
    },
  )

  test.each(['?', '#', '?#', '#?'])(
    'is for the tenant of its path, whatever path comes behind %s',
    async (separator) => {
      const form = new URLSearchParams(tokenForm(await workload())).toString()
      const path = (tenant: string) => `/${tenant}/oauth2/v2.0/token`
      const send = (target: string) =>
        sendRaw(
          service.origin,
          `POST ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n` +
            `Content-Type: application/x-www-form-urlencoded\r\nContent-Length: ${form.length}\r\n\r\n${form}`,
        )
      const [granted, other] = [path(cast.fabrikam), path(elsewhere)]

      expect(await send(`${other}${separator}${granted}`)).toContain('AADSTS700213')
      expect(await send(`${granted}${separator}${other}`)).toMatch(/^HTTP\/1\.1 200 /)
    },
  )

  test('with a secret in Authorization is refused in its scheme', async () => {
    const headers = { authorization: 'Basic ZXZlLXdhcy1oZXJl' }
    const answer = await ask(tokenForm(await workload()), { headers })

    expectEntraError(answer, secretRefused)
    expect(answer.headers['www-authenticate']).toBe('Basic realm="countersign"')
    expect(service.log().join('\n')).not.toContain('ZXZlLXdhcy1oZXJl')
  })

  test('from a browser is refused', async () => {
    const answer = await ask(tokenForm(await workload()), { headers: { origin: 'null' } })
    expectEntraError(answer, { ...malformed, text: /A page of another site/ })
  })

  test('by another method is told which one there is', async () => {
    const { status, headers } = await service.ask(`GET /${cast.fabrikam}/oauth2/v2.0/token`)
    expect([status, headers.allow]).toEqual([405, 'POST'])
  })
})

const notFederated = {
  status: 401,
  error: 'invalid_client',
  number: 70021,
  text: /The caller token was not accepted/,
}

describe('a caller', () => {
  test.each<[string, () => Promise<string>, Words]>([
    ['is no JWT', () => Promise.resolve('not-a-token'), notFederated],
    [
      'was meant for somebody else',
      () => service.callerToken('github', { wrong: 'audience' }),
      notFederated,
    ],
    ['nobody signed', () => service.callerToken('github', { wrong: 'signature' }), notFederated],
    [
      'has expired',
      () => service.callerToken('github', { wrong: 'expired' }),
      { ...notFederated, number: 700024, text: /it has expired/ },
    ],
    [
      'is not valid yet',
      () => service.callerToken('github', { wrong: 'not-yet-valid' }),
      { ...notFederated, number: 700024, text: /it is not valid yet/ },
    ],
    [
      'no grant names',
      () => service.callerToken('github', { claims: { ref: 'refs/heads/feature' } }),
      { ...notFederated, number: 700213, text: /No grant allows this caller/ },
    ],
  ])('whose token %s is turned away, and nothing is written down', async (_, make, words) => {
    const token = await make()
    service.newEntries()
    const answer = await ask(tokenForm(token))

    expectEntraError(answer, words)
    expectNothingElsePrivate(answer, token)
    expect(service.newEntries()).toEqual([])
  })

  test('without any proof is told to send one', async () => {
    const form = without(without(tokenForm(''), 'client_assertion'), 'client_assertion_type')
    expectEntraError(await ask(form), { ...secretRefused, text: /'client_assertion'/ })
  })

  test.each<[string, string, Form, Words, object]>([
    [
      'a scope that is not granted',
      route,
      { scope: 'https://graph.microsoft.com/.default' },
      { ...notFederated, number: 700213, text: /No grant allows this caller/ },
      { application: 'events', scope: 'https://graph.microsoft.com/.default' },
    ],
    [
      'a tenant that is not listed',
      `POST /${elsewhere}/oauth2/v2.0/token`,
      {},
      { ...notFederated, number: 700213, text: /No grant allows this caller/ },
      { application: 'events', tenant: elsewhere },
    ],
    [
      'an application that is not here',
      route,
      { client_id: elsewhere },
      { ...applicationUnknown, text: /No application of this service has this client_id/ },
      // Of an application without a name there is nothing else to write down.
      { application: elsewhere, tenant: cast.fabrikam },
    ],
  ])('that a grant names is refused %s, and it is written down', async (...row) => {
    const [, request, more, words, written] = row
    const token = await workload()
    service.newEntries()
    const answer = await service.ask(request, { form: { ...tokenForm(token), ...more } })

    expectEntraError(answer, words)
    expectNothingElsePrivate(answer, token)
    const attempt = answer.headers['countersign-attempt']
    const entry = { kind: 'request.refused', reason: 'grant_missing', attempt, ...written }
    expect(service.newEntries()).toEqual([expect.objectContaining(entry)])
  })

  test('that no grant names does not find out which applications are here', async () => {
    const token = await service.callerToken('github', { claims: { ref: 'refs/heads/feature' } })
    const [here, nowhere] = [
      await ask(tokenForm(token)),
      await ask({ ...tokenForm(token), client_id: elsewhere }),
    ]
    const told = ({ status, body }: Answer) => [
      status,
      (body as { error_codes: unknown }).error_codes,
    ]
    expect(told(nowhere)).toEqual(told(here))
  })

  test('that has used up its limit is told when to come again', async () => {
    const token = await service.callerToken('gitlab')
    const first = await ask(tokenForm(token))
    const second = await ask(tokenForm(token))

    expect(first.status, first.text).toBe(200)
    const words = { status: 429, error: 'temporarily_unavailable', number: 90055, text: /Wait/ }
    expectEntraError(second, words)
    expect(Number(second.headers['retry-after'])).toBeGreaterThan(0)
  })

  test("whose resource the tenant does not have is told so under Entra's own number", async () => {
    const form = { ...tokenForm(await workload()), scope: cast.absentResource }
    const words = { status: 400, error: 'unauthorized_client', number: 500011, text: /not present/ }

    const [first, again] = [await ask(form), await ask(form)]
    expectEntraError(first, words)
    expectNothingElsePrivate(first)
    // From memory, and with the time at which Entra is asked again.
    expectEntraError(again, words)
    expect(Number(again.headers['retry-after'])).toBeGreaterThan(0)
  })
})

describe('discovery', () => {
  const host = { host: 'evil.example' }

  test.each([cast.fabrikam, elsewhere])(
    'tells where tokens of the tenant %s are to be had, whatever Host says',
    async (tenant) => {
      const path = `GET /${tenant}/v2.0/.well-known/openid-configuration`
      const { body } = await service.ask(path, { headers: host })
      const { authority } = service.emulator.endpoints

      expect(body).toMatchObject({
        issuer: `${cast.publicUrl}/${tenant}/v2.0`,
        token_endpoint: `${cast.publicUrl}/${tenant}/oauth2/v2.0/token`,
        jwks_uri: `${authority}/${tenant}/discovery/v2.0/keys`,
        authorization_endpoint: `${authority}/${tenant}/oauth2/v2.0/authorize`,
      })
    },
  )

  test('of a tenant that is no GUID is refused', async () => {
    const answer = await service.ask('GET /common/v2.0/.well-known/openid-configuration')
    const words = { status: 400, error: 'invalid_request', number: 90002, text: /must be a GUID/ }
    expectEntraError(answer, words)
  })

  const instance = (authority: string) => {
    const endpoint = encodeURIComponent(`${authority}/${cast.fabrikam}/oauth2/v2.0/authorize`)
    const query = `api-version=1.1&authorization_endpoint=${endpoint}`
    return service.ask(`GET /common/discovery/instance?${query}`, { headers: host })
  }

  test('of the instance names this service, and no alias of it', async () => {
    const { hostname } = new URL(cast.publicUrl)
    const { body } = await instance(cast.publicUrl)

    expect(body).toEqual({
      tenant_discovery_endpoint: `${cast.publicUrl}/${cast.fabrikam}/v2.0/.well-known/openid-configuration`,
      'api-version': '1.1',
      metadata: [{ preferred_network: hostname, preferred_cache: hostname, aliases: [hostname] }],
    })
  })

  test.each(['https://evil.example', 'https://login.microsoftonline.com', 'nonsense'])(
    'of the instance %s is refused',
    async (authority) => {
      const words = {
        status: 400,
        error: 'invalid_instance',
        number: 50049,
        text: /not this service/,
      }
      expectEntraError(await instance(authority), words)
    },
  )
})
