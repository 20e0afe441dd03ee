import { once } from 'node:events'
import { createServer, type RequestListener, type Server } from 'node:http'
import { afterEach, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { Secret } from '../../../src/base/secret.ts'
import { parseBearerUrl } from '../../../src/base/bearer-url.ts'
import { findCallerToken } from '../../../src/cli/caller-token.ts'
import { namedService } from '../../../src/cli/request-options.ts'
import { askService } from '../../../src/cli/service-client.ts'

const token = new Secret('eyJ-of-the-caller')
const answerSchema = z.object({ access_token: z.string(), expires_in: z.number() })

let server: Server | undefined

afterEach(() => {
  server?.close()
  server?.closeAllConnections()
  server = undefined
})

async function started(answer: RequestListener): Promise<string> {
  server = createServer(answer)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new TypeError('not a TCP server')
  return `http://127.0.0.1:${address.port}`
}

/** Where nothing listens any more. */
async function deserted(): Promise<string> {
  const url = await started(() => undefined)
  server?.close()
  return url
}

const answering =
  (status: number, body: string, headers = {}): RequestListener =>
  (_request, response) =>
    response.writeHead(status, headers).end(body)

const ask = (url: string, shown = token) =>
  askService(
    { url, publicUrl: url, credential: { kind: 'bearer', token: shown } },
    '/v1/token',
    { post: {} },
    answerSchema,
  )

async function failure(asked: Promise<unknown>): Promise<string> {
  const error: unknown = await asked.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (!(error instanceof Error)) throw new TypeError('it did not fail')
  expect(error.message).not.toContain('eyJ')
  return error.message
}

describe('a URL that a token may be sent to', () => {
  test.each([
    'https://countersign.example',
    'http://127.0.0.1:1',
    'http://localhost',
    'http://[::1]:1',
  ])('is %s', (url) => {
    expect(parseBearerUrl(url, 'the URL').href).toContain(url)
  })

  test.each([
    ['http://countersign.example', 'must be https, or http on loopback'],
    ['http://127.0.0.1.example', 'must be https, or http on loopback'],
    ['http://10.0.0.1:8443', 'must be https, or http on loopback'],
    ['ftp://localhost', 'must be https, or http on loopback'],
    ['https://me:secret@countersign.example', 'must not hold a name or a password'],
    ['countersign.example', 'is not a URL'],
  ])('is not %s', (url, why) => {
    expect(() => namedService({ url }, {})).toThrow(`the URL of the service ${why}`)
    expect(() => namedService({}, { url })).toThrow(why)
  })

  test('is demanded again where the token is sent', async () => {
    expect(await failure(ask('http://countersign.example'))).toContain('must be https')
  })
})

describe('what a caller is told of the service', () => {
  test('is its answer, when it is one', async () => {
    const url = await started((request, response) => {
      expect(request.headers.authorization).toBe(`Bearer ${token.reveal()}`)
      response.end('{"access_token":"a","expires_in":1}')
    })
    expect(await ask(url)).toEqual({ access_token: 'a', expires_in: 1 })
  })

  test('is the words of a problem and its attempt', async () => {
    const problem = { title: 'No', detail: 'Not this.', attempt: 'x1', retryAfterSeconds: 3 }
    const url = await started(answering(403, JSON.stringify(problem)))
    expect(await failure(ask(url))).toBe('No. Not this. Again in 3 s. (attempt x1)')
  })

  test('is where it was looked for and why it was not reached', async () => {
    const url = await deserted()
    expect(await failure(ask(url))).toBe(`no answer from ${url}/v1/token (ECONNREFUSED)`)
  })

  test.each([
    ['an answer of some other service', '{"token":1}'],
    ['a page', '<html>'],
  ])('is one sentence when %s comes back', async (_what, body) => {
    const url = await started(answering(200, body))
    expect(await failure(ask(url))).toBe(
      `${url}/v1/token answered with something else than Countersign does: check the URL`,
    )
  })

  test('is that a redirect was not followed', async () => {
    const url = await started(answering(307, '', { location: '/elsewhere' }))
    expect(await failure(ask(url))).toBe(`no answer from ${url}/v1/token (unexpected redirect)`)
  })

  test('is that an answer was too long, and that a certificate cannot be shown in clear', async () => {
    const url = await started(answering(200, 'x'.repeat(4_000_001)))
    expect(await failure(ask(url))).toBe(`no answer from ${url}/v1/token (too long)`)
    const credential = { kind: 'certificate', certificate: { cert: '', key: '' } } as const
    const shown = askService({ url, publicUrl: url, credential }, '/v1/token', 'GET', answerSchema)
    expect(await failure(shown)).toContain('must be https')
  })

  test.each(['', 'eyJ two words', 'eyJ\nline', 'eyJ\u20ac'])(
    'never repeats a token that cannot be sent: %j',
    async (text) => {
      const url = await deserted()
      expect(await failure(ask(url, new Secret(text)))).toContain('the token to send is empty, or')
    },
  )
})

describe('the token of a job of GitHub Actions', () => {
  const find = (requestUrl: string, audience: { readonly audience?: string } = {}) =>
    findCallerToken(
      undefined,
      { publicUrl: 'https://countersign.example', ...audience },
      { githubActions: { requestUrl, requestToken: new Secret('eyJ-of-the-runner') } },
    )

  test('is asked for with the audience of the service, or with the one that is said', async () => {
    const url = await started((request, response) => {
      const { searchParams } = new URL(request.url ?? '', 'http://localhost')
      response.end(JSON.stringify({ value: searchParams.get('audience') }))
    })
    const platform = `${url}/token?api-version=2.0`
    expect((await find(platform)).reveal()).toBe('https://countersign.example')
    expect((await find(platform, { audience: 'api://other' })).reveal()).toBe('api://other')
  })

  test('is not asked for in clear', async () => {
    expect(await failure(find('http://actions.example/token'))).toContain(
      'ACTIONS_ID_TOKEN_REQUEST_URL must be https, or http on loopback',
    )
  })

  test('is not there when the platform does not answer', async () => {
    const url = await deserted()
    expect(await failure(find(`${url}/token?secret=1`))).toBe(
      `no answer from ${url}/token (ECONNREFUSED)`,
    )
  })
})
