import { writeFileSync } from 'node:fs'
import { afterEach, expect, test } from 'vitest'
import { systemClock } from '../../src/base/clock.ts'
import { type MadeUpServer, startMadeUpServer } from '../support/made-up-server.ts'
import { startTestAgent, type TestAgent } from '../support/test-agent.ts'
import { cast } from '../support/test-service.ts'

/** What answers in the service's place, and what no program may be told because of it. */

let server: MadeUpServer | undefined
let agent: TestAgent | undefined

afterEach(async () => {
  await agent?.stop()
  await server?.close()
})

const attempt = '0190a5b0-0000-7000-8000-000000000001'
const whole = { access_token: 'eyJ.a.b', token_type: 'Bearer', expires_in: 3600, attempt }

async function askBehind(answer: {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body: unknown
}) {
  server = await startMadeUpServer((_, response) => {
    response.writeHead(answer.status ?? 200, answer.headers)
    response.end(typeof answer.body === 'string' ? answer.body : JSON.stringify(answer.body))
  })
  agent = await startTestAgent({ origin: server.origin, clock: systemClock, ownToken: 'a.b.c' })
  return agent.askFor('https://orders.example')
}

test('the whole answer is one that is given on', async () => {
  const { status, body } = await askBehind({ body: whole })
  expect([status, body['access_token']]).toEqual([200, 'eyJ.a.b'])
})

test('a token that lives for as long as any of Entra is given on, until then and no longer', async () => {
  const answer = await askBehind({ body: { ...whole, expires_in: 28 * 3600 } })
  expect(answer.status).toBe(200)
  const leftSeconds = Number(answer.body['expires_on']) - systemClock.nowSeconds()
  expect(leftSeconds).toBeLessThanOrEqual(28 * 3600)
  expect(leftSeconds).toBeGreaterThan(28 * 3600 - 60)
})

test.for([
  ['nothing', ''],
  ['a page', '<html>Welcome</html>'],
  ['a list', []],
  ['an empty token', { ...whole, access_token: '' }],
  ['no token', { ...whole, access_token: undefined }],
  ['a token that is null', { ...whole, access_token: null }],
  ['a token with a line break', { ...whole, access_token: 'a\r\nx: y' }],
  ['a token of another type', { ...whole, token_type: 'DPoP' }],
  ['a token that is over', { ...whole, expires_in: 0 }],
  ['a token that was over before', { ...whole, expires_in: -3600 }],
  ['a token with a life in words', { ...whole, expires_in: 'an hour' }],
  ['a token with a life in digits that are a text', { ...whole, expires_in: '3600' }],
  ['a token without a life', { ...whole, expires_in: undefined }],
  ['a token whose life is null', { ...whole, expires_in: null }],
  ['a token that lives for a part of a second', { ...whole, expires_in: 0.5 }],
  ['a token that lives for three days', { ...whole, expires_in: 3 * 86_400 }],
  ['a token that lives for as long as numbers reach', { ...whole, expires_in: 2 ** 53 - 1 }],
  ['a token that lives for ever', JSON.stringify(whole).replace('3600', '1e999')],
  ['a token without its attempt', { ...whole, attempt: undefined }],
  ['more than any token', { ...whole, access_token: 'x'.repeat(300_000) }],
] as const)('%s is no success', async ([, body]) => {
  const answer = await askBehind({ body })
  expect(answer.status).toBe(502)
  expect(answer.body).toEqual({
    statusCode: 502,
    message: 'What answers is not Countersign, or not as it should be.',
    correlationId: expect.any(String) as string,
  })
  expect(agent?.failures).toEqual(['SERVICE_MALFORMED'])
})

test.for([
  [204, 502],
  [302, 502],
  [404, 502],
  [500, 503],
  [502, 503],
] as const)('status %i of something else is %i to programs', async ([status, told]) => {
  const answer = await askBehind({ status, headers: { location: 'http://127.0.0.1:9/' }, body: '' })
  expect([answer.status, answer.body['access_token']]).toEqual([told, undefined])
})

test('nothing of what something else says is repeated, and no long pause is believed', async () => {
  const body = { code: 'Reveal <b>me</b>', detail: 'me too', attempt: 'and me' }
  const answer = await askBehind({ status: 503, headers: { 'retry-after': '99999' }, body })
  expect(answer.status).toBe(503)
  expect(answer.body['message']).toBe('Countersign cannot answer for now.')
  const again = await agent?.askFor('https://orders.example')
  expect(Number(again?.headers['retry-after'])).toBeLessThanOrEqual(300)
})

test('a token that was refused while its file was replaced is followed by the new one', async () => {
  const shown: (string | undefined)[] = []
  server = await startMadeUpServer(({ headers }, response) => {
    shown.push(headers.authorization)
    if (shown.length === 1 && agent !== undefined) writeFileSync(agent.ownTokenFile, 'new.one.now')
    response.writeHead(shown.length === 1 ? 401 : 200)
    response.end(JSON.stringify(shown.length === 1 ? { code: 'caller_not_proven' } : whole))
  })
  agent = await startTestAgent({ origin: server.origin, clock: systemClock, ownToken: 'a.b.c' })
  expect((await agent.askFor('https://orders.example')).status).toBe(200)
  expect(shown).toEqual(['Bearer a.b.c', 'Bearer new.one.now'])
})

test('a token that is refused and stays is shown once', async () => {
  let asked = 0
  server = await startMadeUpServer((_, response) => {
    asked += 1
    response.writeHead(401).end(JSON.stringify({ code: 'caller_not_proven' }))
  })
  agent = await startTestAgent({ origin: server.origin, clock: systemClock, ownToken: 'a.b.c' })
  expect((await agent.askFor('https://orders.example')).status).toBe(403)
  expect(asked).toBe(1)
})

test('what is no success once is asked for again, and nothing of it is kept', async () => {
  const answers = [{ ...whole, expires_in: 2 ** 53 - 1 }, whole]
  server = await startMadeUpServer((_, response) => {
    response.writeHead(200).end(JSON.stringify(answers.shift()))
  })
  agent = await startTestAgent({ origin: server.origin, clock: systemClock, ownToken: 'a.b.c' })
  expect((await agent.askFor('https://orders.example')).status).toBe(502)
  expect((await agent.askFor('https://orders.example')).status).toBe(200)
})

test.for([
  ['ten minutes', 600, 200],
  ['more than the service gives', 601, 502],
  ['as long as numbers reach', 2 ** 53 - 1, 502],
  ['no time', 0, 502],
  ['less', -1, 502],
  ['nobody knows how long', undefined, 502],
] as const)(
  'an assertion that lives for %s (%s s) is answered with %i',
  async ([, seconds, status]) => {
    const body = { client_assertion: 'eyJ.a.b', expires_in: seconds, attempt }
    server = await startMadeUpServer((_, response) => {
      response.writeHead(200).end(JSON.stringify(body))
    })
    agent = await startTestAgent({
      origin: server.origin,
      clock: systemClock,
      ownToken: 'a.b.c',
      file: (written) => ({
        ...written,
        shapes: { requestUrl: { application: 'deploy', tenant: cast.fabrikam } },
      }),
    })
    const secret = agent.agent.variables['ACTIONS_ID_TOKEN_REQUEST_TOKEN'] ?? ''
    const answer = await agent.ask('GET /ci/github', { authorization: `Bearer ${secret}` })
    expect([answer.status, answer.body['value']]).toEqual([
      status,
      status === 200 ? 'eyJ.a.b' : undefined,
    ])
  },
)
