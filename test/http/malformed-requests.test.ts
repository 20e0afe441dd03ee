import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { expectNothingPrivate, expectProblem, type ProblemWords } from '../support/problems.ts'
import { hangUpAfter, sendRaw } from '../support/raw-http.ts'
import {
  type AskOptions,
  cast,
  deployAsk,
  ordersAsk,
  startTestService,
  type TestService,
} from '../support/test-service.ts'

/** Whatever is no request of the contract: refused before anybody asks who sent it, unread, unlogged. */

let service: TestService
let token: string

beforeAll(async () => {
  service = await startTestService()
  token = await service.callerToken('github')
})
afterAll(async () => {
  await service.stop()
})

const invalid = (detail: string): ProblemWords => ({
  status: 400,
  code: 'request_invalid',
  title: 'The request is not valid',
  detail,
})

const json = { 'content-type': 'application/json' }

/** Asserts the words, and that nothing was done, written or logged for the request. */
async function expectRefused(
  request: string,
  options: AskOptions,
  words: ProblemWords,
): Promise<void> {
  service.newEntries()
  const [lines, records] = [service.log().length, service.vaultRecords().length]
  const answer = await service.ask(request, { token, ...options })

  expectProblem(answer, words)
  expectNothingPrivate(answer, service, { token, values: ['eve-was-here'] })
  expect(service.newEntries()).toEqual([])
  expect(service.vaultRecords()).toHaveLength(records)
  expect(service.log()).toHaveLength(lines)
}

const unsupported: ProblemWords = {
  status: 415,
  code: 'media_type_unsupported',
  title: 'The media type is not supported',
  detail: 'Send the body as application/json.',
}

const tooLarge: ProblemWords = {
  status: 413,
  code: 'body_too_large',
  title: 'The body is too large',
  detail: 'Send a body of at most 4096 bytes.',
}

const routes = ['POST /v1/token', 'POST /v1/assertion'] as const

describe.each(routes)('%s refuses', (route) => {
  const good = JSON.stringify(route === 'POST /v1/token' ? ordersAsk : deployAsk)

  test.each(['text/plain', 'application/x-www-form-urlencoded', 'application/jsonp', 'json'])(
    'the media type %s',
    (type) => expectRefused(route, { body: good, headers: { 'content-type': type } }, unsupported),
  )

  test('a body of no type, and no body at all', async () => {
    await expectRefused(route, { body: good }, unsupported)
    await expectRefused(route, {}, unsupported)
  })

  test('a body of more than 4 KiB, announced or not', async () => {
    const body = good.padEnd(4097)
    await expectRefused(route, { body, headers: json }, tooLarge)

    const chunked = `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`
    const answer = await sendRaw(
      service.origin,
      `POST ${route.slice(5)} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n` +
        `transfer-encoding: chunked\r\n\r\n${chunked}`,
    )
    expect(answer).toMatch(/^HTTP\/1.1 413 .*"code":"body_too_large"/s)
  })

  test.each([
    ['announced, and not sent', 'content-length: 4097\r\n\r\n'],
    ['announced, and sent in part', `content-length: 9000000\r\n\r\n${good.padEnd(4097)}`],
    ['in chunks that do not end', `transfer-encoding: chunked\r\n\r\n1001\r\n${good.padEnd(4097)}`],
  ])('a body of more than 4 KiB before it is there: %s', async (_, rest) => {
    const answer = await sendRaw(
      service.origin,
      `POST ${route.slice(5)} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n${rest}`,
      5000,
    )
    expect(answer).toMatch(/^HTTP\/1.1 413 .*"code":"body_too_large"/s)
    expect(answer).toMatch(/^connection: close\r$/im)
  })

  test('no body of 4 KiB for its size', async () => {
    const answer = await sendRaw(
      service.origin,
      `POST ${route.slice(5)} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n` +
        `authorization: Bearer ${token}\r\ncontent-type: application/json\r\n` +
        `content-length: 4096\r\n\r\n${good.padEnd(4096)}`,
      5000,
    )
    expect(answer).toMatch(/^HTTP\/1.1 200 /)
  })

  test.each(['', '{', '{"application":', "{'application':'events'}", '\u0000'])(
    'a body that is no JSON: %j',
    (body) => expectRefused(route, { body, headers: json }, invalid('The body is not valid JSON.')),
  )

  test.each(['null', '[]', '"eve-was-here"', '1', 'true'])('a body that is no object: %s', (body) =>
    expectRefused(route, { body, headers: json }, invalid('The body must be a JSON object.')),
  )

  test.each(['eve-was-here', 'constructor', '__proto__', 'access_token'])(
    'a member that the contract does not know: %s',
    (member) =>
      expectRefused(
        route,
        { body: `${good.slice(0, -1)},"${member}":"eve-was-here"}`, headers: json },
        invalid('The body has a member that the contract does not know: see openapi.yaml.'),
      ),
  )
})

interface BadMember {
  readonly member: string
  readonly value: unknown
  readonly detail: string | RegExp
}

const notNamed = 'The application must be a name: '
const notGuid = 'The tenant must be a GUID, not a domain name.'
const notScope =
  'The member scope must be one resource and /.default, such as https://vault.azure.net/.default.'

const badMembers: readonly BadMember[] = [
  ...[undefined, null, 7, ['events'], { name: 'events' }, '', 'x'.repeat(64)].map((value) => ({
    member: 'application',
    value,
    detail: /^The member application is missing or wrong: /,
  })),
  ...['Events', 'eve was here', '../events', 'événements', '-events'].map((value) => ({
    member: 'application',
    value,
    detail: `${notNamed}lower-case letters, digits and inner hyphens, 1 to 63 characters.`,
  })),
  ...[undefined, null, 7, '', 'fabrikam.onmicrosoft.com', 'common'].map((value) => ({
    member: 'tenant',
    value,
    detail: /^The member tenant is missing or wrong: /,
  })),
  // As long as a GUID, and none.
  ...['fabrikam-and-more.onmicrosoft.com...', `${cast.fabrikam.slice(0, -1)}g`].map((value) => ({
    member: 'tenant',
    value,
    detail: notGuid,
  })),
  ...[undefined, null, [cast.orders], '', 'x'.repeat(601)].map((value) => ({
    member: 'scope',
    value,
    detail: /^The member scope is missing or wrong: /,
  })),
  ...[
    'https://orders.example',
    'https://orders.example/Orders.Read',
    'https://orders.example/.default https://graph.microsoft.com/.default',
    'https://orders.example/.default\n',
    'orders/.default',
    '/.default',
  ].map((value) => ({ member: 'scope', value, detail: notScope })),
]

describe('POST /v1/token refuses', () => {
  test.each(badMembers)('$member $value', async ({ member, value, detail }) => {
    const answer = await service.ask('POST /v1/token', {
      token,
      json: { ...ordersAsk, [member]: value },
    })

    expectProblem(answer, invalid((answer.body as { detail: string }).detail))
    expect((answer.body as { detail: string }).detail).toMatch(detail)
    expectNothingPrivate(answer, service, { token, values: [cast.fabrikam, 'orders.example'] })
  })
})

describe('POST /v1/assertion refuses', () => {
  test.each([0, -1, 1.5, 601, 1e30, '300', null])('lifetimeSeconds %s', async (value) => {
    const answer = await service.ask('POST /v1/assertion', {
      token,
      json: { ...deployAsk, lifetimeSeconds: value },
    })

    expect(answer.status).toBe(400)
    expect((answer.body as { detail: string }).detail).toMatch(
      /^The member lifetimeSeconds is missing or wrong: /,
    )
  })
})

describe('a path', () => {
  const notFound: ProblemWords = {
    status: 404,
    code: 'not_found',
    title: 'There is nothing here',
    detail: 'See /openapi.yaml for what this service offers.',
  }

  test.each([
    'GET /',
    'GET /eve-was-here',
    'POST /v1/token/',
    'POST /V1/token',
    'GET /v1/assertion/deploy',
    `GET /v1/assertion/deploy/${cast.fabrikam}/eve-was-here`,
    'POST /v1/token%2f',
    'GET /v1/../healthz',
  ])('that there is not: %s', (request) => expectRefused(request, {}, notFound))

  test.each([
    `GET /v1/assertion/%zz/${cast.fabrikam}`,
    'GET /v1/assertion/deploy/%ff',
    `GET /v1/assertion/%E0%A4%A/${cast.fabrikam}`,
  ])('that does not decode: %s', (request) =>
    expectRefused(request, {}, invalid('The path is not validly percent-encoded.')),
  )

  test.each([
    [`GET /v1/assertion/Eve/${cast.fabrikam}`, notNamed],
    [`GET /v1/assertion/..%2f..%2fdeploy/${cast.fabrikam}`, notNamed],
    [`GET /v1/assertion/${'x'.repeat(64)}/${cast.fabrikam}`, notNamed],
    ['GET /v1/assertion/deploy/fabrikam.onmicrosoft.com', notGuid],
  ])('that names what cannot be: %s', async (request, detail) => {
    const answer = await service.ask(request, { token })

    expect(answer.status).toBe(400)
    expect((answer.body as { detail: string }).detail).toContain(detail)
    expectNothingPrivate(answer, service, { token, values: [cast.fabrikam] })
  })
})

test('a target whose host no URL can have is answered like any other, and logged nowhere', async () => {
  const logged = service.log().length
  for (const host of ['h:99999', '[zz]', '1.2.3.999']) {
    const answer = await sendRaw(
      service.origin,
      `GET http://${host}/v1/assertion/deploy/${cast.fabrikam}?code=eve-was-here HTTP/1.1\r\nHost: x\r\n\r\n`,
    )
    expect(answer).toMatch(/^HTTP\/1\.1 (400|401|404) /)
  }
  expect(service.log().slice(logged).join('')).not.toContain('eve-was-here')
})

describe('a method', () => {
  const only = (allow: string): ProblemWords => ({
    status: 405,
    code: 'method_not_allowed',
    title: 'The method is not allowed',
    detail: `Use ${allow}.`,
    allow,
  })
  const gets = [`/v1/assertion/deploy/${cast.fabrikam}`, '/healthz', '/readyz', '/metrics']

  test.each([
    ...routes.flatMap((route) =>
      ['GET', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'].map((method) => [
        method,
        route.slice(5),
        'POST',
      ]),
    ),
    ...[...gets, '/openapi.yaml'].flatMap((path) =>
      ['POST', 'PUT', 'DELETE', 'OPTIONS'].map((method) => [method, path, 'GET']),
    ),
  ])('that a path does not have: %s %s', (method = '', path = '', allow = '') =>
    expectRefused(`${method} ${path}`, {}, only(allow)),
  )
})

describe('credentials', () => {
  const callerMissing: ProblemWords = {
    status: 401,
    code: 'caller_not_proven',
    title: 'The caller is not proven',
    detail: 'Send the caller token as "Authorization: Bearer".',
    wwwAuthenticate: 'Bearer',
  }
  const secret = 'c2VjcmV0LW9mLXRoZS1jYWxsZXI6cGFzc3dvcmQ'

  test.each([
    ['Basic', `Basic ${secret}`],
    ['Negotiate', `Negotiate ${secret}`],
    ['no scheme', secret],
    ['Bearer without a token', 'Bearer'],
    ['two tokens', `Bearer ${secret} ${secret}`],
    ['a list', `Bearer ${secret}, Bearer ${secret}`],
    ['quotes', `Bearer "${secret}"`],
  ])('of another form are refused unread and unlogged: %s', async (_, authorization) => {
    const answer = await service.ask('POST /v1/token', {
      headers: { authorization },
      json: ordersAsk,
    })

    expectProblem(answer, callerMissing)
    expectNothingPrivate(answer, service, { values: [secret] })
    expect(service.log().join('')).not.toContain(secret)
  })

  test.each(['access_token', 'token'])(
    'in the query are refused unread and unlogged: %s',
    async (parameter) => {
      const answer = await service.ask(`POST /v1/token?${parameter}=${secret}`, {
        json: ordersAsk,
      })

      expectProblem(answer, callerMissing)
      expectNothingPrivate(answer, service, { values: [secret] })
      expect(service.log().join('')).not.toContain(secret)
    },
  )

  test('may be written with the scheme in any case (RFC 9110 §11.1)', async () => {
    const answer = await service.ask('POST /v1/token', {
      headers: { authorization: `bearer ${token}` },
      json: ordersAsk,
    })

    expect(answer.status).toBe(200)
  })

  test('in two headers are refused, though one of them is right', async () => {
    const body = JSON.stringify(ordersAsk)
    const answers = await Promise.all(
      [
        [token, secret],
        [secret, token],
        [token, token],
      ].map((tokens) =>
        sendRaw(
          service.origin,
          `POST /v1/token HTTP/1.1\r\nhost: x\r\nconnection: close\r\n` +
            tokens.map((one) => `authorization: Bearer ${one}\r\n`).join('') +
            `content-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
        ),
      ),
    )

    for (const answer of answers) {
      expect(answer).toMatch(/^HTTP\/1.1 401 /)
      expect(answer).toContain('"code":"caller_not_proven"')
    }
    expect(service.log().join('')).not.toContain(secret)
  })
})

describe('bytes that are no request', () => {
  test.each([
    ['no HTTP', 'eve-was-here\r\n\r\n', 400],
    [
      'a header of 40 KiB',
      `GET /healthz HTTP/1.1\r\nhost: x\r\nx-eve: ${'x'.repeat(40_000)}\r\n\r\n`,
      431,
    ],
    [
      'a header with a line feed in it',
      'GET /healthz HTTP/1.1\r\nhost: x\r\nx-eve: a\nb\r\n\r\n',
      400,
    ],
    [
      'two lengths',
      'POST /v1/token HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n{}',
      400,
    ],
    [
      'a length and chunks',
      'POST /v1/token HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n{}',
      400,
    ],
    ['no host', 'GET /healthz HTTP/1.1\r\n\r\n', 400],
  ])('are refused in no words of ours: %s', async (_, bytes, status) => {
    const answer = await sendRaw(service.origin, bytes)

    expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `))
    expect(answer).not.toContain('eve')
  })

  test('a header of 16 KiB is read: caller tokens are that long', async () => {
    const answer = await service.ask('GET /healthz', { headers: { 'x-long': 'x'.repeat(16_384) } })

    expect(answer.status).toBe(200)
  })
})

describe('a client that hangs up', () => {
  const head =
    'POST /v1/token HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n'

  test('in the middle of its headers or its body costs nobody anything', async () => {
    const lines = service.log().length
    for (let time = 0; time < 20; time += 1) {
      await hangUpAfter(service.origin, head)
      await hangUpAfter(service.origin, `${head}\r\n{"application":`)
    }

    expect((await service.ask('GET /healthz')).status).toBe(200)
    expect(service.log()).toHaveLength(lines)
  })

  test('before the answer leaves its entries all the same', async () => {
    const body = JSON.stringify(deployAsk)
    const fresh = await service.callerToken('github')
    const begun = () => service.entries().filter(({ kind }) => kind === 'signature.begun').length
    const begunBefore = begun()
    service.newEntries()
    await hangUpAfter(
      service.origin,
      `POST /v1/assertion HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${fresh}\r\n` +
        `content-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
      () => expect.poll(begun).toBeGreaterThan(begunBefore),
    )

    await expect
      .poll(() =>
        service
          .newEntries()
          .map(({ kind }) => kind)
          .at(-1),
      )
      .toBe('assertion.issued')
    expect(service.log().join('')).not.toContain('UNEXPECTED')
  })
})
