import { readFileSync } from 'node:fs'
import { SignJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { generateSigningKey } from '../../src/emulator/signing-keys.ts'
import {
  type Answer,
  type AskOptions,
  cast,
  defaultGrants,
  deployAsk,
  ordersAsk,
  startTestService,
  type TestService,
} from '../support/test-service.ts'

/**
 * What is stronger than a caller's own token: the tokens that a job asks its platform with, client secrets,
 * passwords. Each is sent to each route in each place, and is found neither in an answer, nor in the
 * protected log, nor in the ledger.
 */

let service: TestService
let workload: string
let pipeline: string
let admin: string

beforeAll(async () => {
  service = await startTestService({
    grants: [
      ...defaultGrants,
      {
        grant: 'incident-response',
        caller: { issuer: 'gitlab', claims: { project_id: '20' } },
        may: [{ admin: 'revoke' }, { audit: 'read' }],
      },
    ],
  })
  workload = await service.callerToken('fabrikam-orders')
  pipeline = await service.callerToken('github')
  admin = await service.callerToken('gitlab')
})
afterAll(() => service.stop())

const secret = 'eve8Q~was.here-with_a~client.secret'

/** As platforms have them: JWTs of issuers that give no identities, signed by keys that nobody here knows. */
async function platformToken(iss: string): Promise<string> {
  const { keyId, privateKey } = await generateSigningKey()
  return new SignJWT({ nameid: 'dddddddd-dddd-dddd-dddd-dddddddddddd', scp: 'eve-was-here' })
    .setProtectedHeader({ alg: 'RS256', typ: 'JWT', kid: keyId })
    .setIssuer(iss)
    .setAudience(cast.publicUrl)
    .setIssuedAt()
    .setExpirationTime('1h')
    .sign(privateKey)
}

const runnersRequestToken = await platformToken('https://vstoken.actions.githubusercontent.com')
const systemAccessToken = await platformToken('app.vstoken.visualstudio.com')

const clientAssertionType = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'
const entra = `POST /${cast.fabrikam}/oauth2/v2.0/token`

/** What each route takes when nothing is wrong, with the caller's own token where it belongs. */
const routes: Readonly<Record<string, () => AskOptions>> = {
  'POST /v1/token': () => ({ token: workload, json: ordersAsk }),
  'POST /v1/assertion': () => ({ token: pipeline, json: deployAsk }),
  [`GET /v1/assertion/deploy/${cast.fabrikam}`]: () => ({ token: pipeline }),
  'GET /v1/revocations': () => ({ token: admin }),
  'DELETE /v1/revocations/0190a5b0-0000-7000-8000-000000000001': () => ({ token: admin }),
  // Names nothing that anybody here asks for.
  'POST /v1/revocations': () => ({ token: admin, json: { tenant: cast.contoso } }),
  'GET /v1/entries': () => ({ token: admin }),
  'GET /v1/attempts/0190a5b0-0000-7000-8000-000000000001': () => ({ token: admin }),
  'GET /audit': () => ({ token: admin }),
  'POST /oauth2/token': () => ({
    form: {
      grant_type: 'client_credentials',
      client_id: `events/${cast.fabrikam}`,
      scope: cast.orders,
      client_assertion_type: clientAssertionType,
      client_assertion: workload,
    },
  }),
  [entra]: () => ({
    form: {
      grant_type: 'client_credentials',
      client_id: cast.eventsClientId,
      scope: cast.orders,
      client_assertion_type: clientAssertionType,
      client_assertion: workload,
    },
  }),
}

const exchange = () => ({
  grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
  audience: `events/${cast.fabrikam}`,
  scope: cast.orders,
  subject_token: workload,
  subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
})

const base64 = (text: string) => Buffer.from(text).toString('base64')

/** Refused, and nothing of it anywhere, however it may be spelled. */
function expectRefusedAndForgotten(answer: Answer, ...sent: readonly string[]): void {
  expect([400, 401], answer.text).toContain(answer.status)
  const ledger = JSON.stringify(service.entries())
  const written = [answer.text, JSON.stringify(answer.headers), ...service.log(), ledger].join('\n')
  const parts = sent.flatMap((text) => [
    text,
    ...text.split('.').filter((part) => part.length > 15),
  ])
  for (const text of parts.flatMap((part) => [part, encodeURIComponent(part), base64(part)])) {
    expect(written).not.toContain(text)
  }
}

const names = Object.keys(routes)

interface Contract {
  readonly security: readonly unknown[]
  readonly paths: Readonly<
    Record<string, Readonly<Record<string, { readonly security?: readonly unknown[] }>>>
  >
}

test('every route that takes what proves a caller is asked', () => {
  const { security: usual, paths } = parse(readFileSync('openapi.yaml', 'utf8')) as Contract
  const proving = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods)
      .filter(([method, { security = usual }]) => method !== 'parameters' && security.length > 0)
      .map(([method]) => `${method.toUpperCase()} ${path}`),
  )
  const isAsked = (route: string) =>
    names.some((name) => new RegExp(`^${route.replaceAll(/\{\w+\}/g, '[^/]+')}$`).test(name))
  expect(proving.filter((route) => !isAsked(route))).toEqual([])
  expect(proving.length).toBeGreaterThan(4)
})

test.for(names)('%s takes what proves its caller and no more', async (request) => {
  const { status } = await service.ask(request, routes[request]?.())
  // Nothing that is stopped, or was ever asked for, has this id.
  expect(status).toBe(/-000000000001$/.test(request) ? 404 : 200)
})

describe.for(names)('%s', (request) => {
  const asked = () => routes[request]?.() ?? {}
  const instead = (authorization: string): AskOptions => {
    const { json, form } = asked()
    return {
      ...(json === undefined ? {} : { json }),
      ...(form === undefined ? {} : { form }),
      headers: { authorization },
    }
  }

  test.for([
    ['a client id and its secret', `Basic ${base64(`${cast.eventsClientId}:${secret}`)}`],
    ['a name and a password', `Basic ${base64(`eve:${secret}`)}`],
    ['a personal access token', `Basic ${base64(`:${secret}`)}`],
    ["the runner's request token", `Bearer ${runnersRequestToken}`],
    ['System.AccessToken', `Bearer ${systemAccessToken}`],
    ['System.AccessToken, as git has it', `Basic ${base64(`:${systemAccessToken}`)}`],
    ['a bearer token that is no JWT', `Bearer ${secret}`],
    ['a secret in a scheme of its own', `SharedKey ${secret}`],
  ] as const)('refuses %s in Authorization', async ([, authorization]) => {
    const answer = await service.ask(request, instead(authorization))
    const [, shown = ''] = authorization.split(' ')
    expectRefusedAndForgotten(answer, shown, secret, runnersRequestToken, systemAccessToken)
  })

  test.for(['client_secret', 'password'])(
    'refuses %s in its query, whatever is beside it',
    async (name) => {
      const target = `${request}?${name}=${encodeURIComponent(secret)}`
      expectRefusedAndForgotten(await service.ask(target, asked()), secret)
    },
  )
})

describe.for(['POST /v1/token', 'POST /v1/assertion', 'POST /v1/revocations'])('%s', (request) => {
  test.for(['client_secret', 'password', 'username'])('refuses %s in its body', async (name) => {
    const { json, ...others } = routes[request]?.() ?? {}
    const body = JSON.stringify({ ...(json as object), [name]: secret })
    const headers = { 'content-type': 'application/json' }
    expectRefusedAndForgotten(await service.ask(request, { ...others, body, headers }), secret)
  })
})

describe.for([
  ['POST /oauth2/token', 'client credentials', () => routes['POST /oauth2/token']?.().form],
  ['POST /oauth2/token', 'token exchange', exchange],
  [entra, 'client credentials', () => routes[entra]?.().form],
] as const)('%s, %s', ([request, , form]) => {
  const send = (more: Readonly<Record<string, string>>) =>
    service.ask(request, { form: { ...form(), ...more } })

  test('is served without a secret', async () => {
    expect((await send({})).status).toBe(200)
  })

  test.for(['client_secret', 'password'])('refuses %s in its body', async (name) => {
    expectRefusedAndForgotten(await send({ [name]: secret }), secret)
  })

  test('refuses the grant of passwords', async () => {
    const more = { grant_type: 'password', username: secret, password: secret }
    expectRefusedAndForgotten(await send(more), secret)
  })

  test.for([
    ["the runner's request token", runnersRequestToken],
    ['System.AccessToken', systemAccessToken],
    ['a secret', secret],
  ] as const)('refuses %s in the place of the token', async ([, sent]) => {
    const name = 'subject_token' in (form() ?? {}) ? 'subject_token' : 'client_assertion'
    expectRefusedAndForgotten(await send({ [name]: sent }), sent)
  })
})
