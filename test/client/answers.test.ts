import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import {
  assertionProvider,
  CountersignError,
  type CallerToken,
} from '../../src/client/assertion-provider.ts'
import { type MadeUpServer, startMadeUpServer } from '../support/made-up-server.ts'

/** What the library makes of every answer, and that nothing in it tells the token. */

const callerToken = 'eyJ0.caller-token.c2ln'
const attempt = '0190a5b0-0000-7000-8000-000000000001'
const whole = { client_assertion: 'eyJ.a.b', expires_in: 300, attempt }

let folder: string
let server: MadeUpServer | undefined
const shown: (string | undefined)[] = []

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'countersign-client-'))
})
afterEach(async () => {
  await server?.close()
  shown.length = 0
})
afterAll(() => {
  rmSync(folder, { recursive: true })
})

interface MadeUp {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: unknown
}

const saying =
  ({ status = 200, headers, body = '' }: MadeUp) =>
  (response: ServerResponse) => {
    response.writeHead(status, headers)
    response.end(typeof body === 'string' ? body : JSON.stringify(body))
  }

async function providerBehind(
  answer: (response: ServerResponse) => void,
  more: { readonly callerToken?: CallerToken; readonly timeoutMs?: number } = {},
) {
  server = await startMadeUpServer((request, response) => {
    shown.push(request.headers.authorization)
    answer(response)
  })
  return assertionProvider({
    service: server.origin,
    application: 'deploy',
    tenant: 'fab00000-0000-4000-8000-000000000002',
    callerToken: () => callerToken,
    ...more,
  })
}

async function failureOf(asked: Promise<string>): Promise<CountersignError> {
  const error: unknown = await asked.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (!(error instanceof CountersignError))
    throw new TypeError(`no failure of ours: ${inspect(error)}`)
  expect(inspect(error, { depth: Infinity, showHidden: true })).not.toContain('caller-token')
  expect(error.message).toMatch(new RegExp(`^${error.code}: .+`))
  return error
}

test('a whole answer is an assertion', async () => {
  expect(await (await providerBehind(saying({ body: whole })))()).toBe('eyJ.a.b')
  expect(shown).toEqual([`Bearer ${callerToken}`])
})

test.each<[string, unknown]>([
  ['nothing', ''],
  ['a page', '<html>Welcome</html>'],
  ['a list', []],
  ['null', null],
  ['no assertion', { ...whole, client_assertion: undefined }],
  ['an empty assertion', { ...whole, client_assertion: '' }],
  ['an assertion with a line break', { ...whole, client_assertion: 'a\r\nx: y' }],
  ['a life in words', { ...whole, expires_in: 'five minutes' }],
  ['an assertion that is over', { ...whole, expires_in: 0 }],
  ['more than any assertion', { ...whole, client_assertion: 'x'.repeat(100_000) }],
  ['an answer that repeats what it was shown', { client_assertion: { echo: callerToken } }],
])('%s is none', async (_, body) => {
  const { code } = await failureOf((await providerBehind(saying({ body })))())
  expect(code).toBe('SERVICE_MALFORMED')
})

test.each<[string, MadeUp, object]>([
  [
    '401',
    { status: 401, body: { code: 'caller_not_proven', attempt } },
    { code: 'SERVICE_CALLER_REFUSED', problem: 'caller_not_proven', attempt },
  ],
  [
    '403',
    { status: 403, body: { code: 'not_granted', attempt } },
    { code: 'SERVICE_REFUSED', problem: 'not_granted', attempt },
  ],
  [
    '429',
    { status: 429, headers: { 'retry-after': '7' }, body: { code: 'limit_reached' } },
    { code: 'SERVICE_THROTTLED', retryAfterSeconds: 7 },
  ],
  [
    '503',
    { status: 503, headers: { 'retry-after': '30' }, body: { code: 'ledger_unavailable' } },
    { code: 'SERVICE_BUSY', retryAfterSeconds: 30 },
  ],
  [
    '502 of a proxy, with a date to wait for',
    { status: 502, headers: { 'retry-after': 'Thu, 26 Nov 2026 22:00:00 GMT' } },
    { code: 'SERVICE_BUSY', retryAfterSeconds: undefined },
  ],
  ['404 of something else', { status: 404, body: 'not here' }, { code: 'SERVICE_MALFORMED' }],
  [
    'a redirection, which is not followed',
    { status: 307, headers: { location: '/elsewhere' } },
    { code: 'SERVICE_MALFORMED' },
  ],
  [
    'a refusal that repeats what it was shown',
    { status: 403, body: { code: callerToken, attempt: callerToken } },
    { code: 'SERVICE_MALFORMED' },
  ],
])('%s has a code', async (_, answer, facts) => {
  expect(await failureOf((await providerBehind(saying(answer)))())).toMatchObject(facts)
  expect(shown).toHaveLength(1)
})

test('a service that is away, and one that never answers, are told apart', async () => {
  const away = await providerBehind(saying({ body: whole }))
  await server?.close()
  expect(await failureOf(away())).toMatchObject({
    code: 'SERVICE_UNREACHABLE',
    systemCode: 'ECONNREFUSED',
  })
  const silent = await providerBehind(() => undefined, { timeoutMs: 50 })
  expect((await failureOf(silent())).code).toBe('SERVICE_TIMEOUT')
  const stalling = await providerBehind((response) => response.write('{'), { timeoutMs: 50 })
  expect((await failureOf(stalling())).code).toBe('SERVICE_TIMEOUT')
})

test('the file of the token is read for each assertion', async () => {
  const file = join(folder, 'token')
  const ask = await providerBehind(saying({ status: 503 }), { callerToken: { file } })
  expect(await failureOf(ask())).toMatchObject({
    code: 'CALLER_TOKEN_UNAVAILABLE',
    systemCode: 'ENOENT',
  })
  for (const token of ['first', 'second']) {
    writeFileSync(file, `${token}\n`)
    await failureOf(ask())
  }
  expect(shown).toEqual(['Bearer first', 'Bearer second'])
})

test.each<[string, CallerToken]>([
  ['is empty', () => ' '],
  ['holds a line break', () => `${callerToken}\nx: y`],
  ['cannot be had', () => Promise.reject(new Error(`no ${callerToken}`))],
  ['is no text', () => undefined as never],
  ['never comes', () => new Promise<never>(() => undefined)],
])('a token that %s is not sent', async (_, token) => {
  const ask = await providerBehind(saying({ body: whole }), { callerToken: token, timeoutMs: 50 })
  expect((await failureOf(ask())).code).toBe('CALLER_TOKEN_UNAVAILABLE')
  expect(shown).toEqual([])
})

test.each([
  'countersign.contoso.example',
  'http://countersign.contoso.example',
  'https://me@countersign.contoso.example',
  'https://countersign.contoso.example/v1',
  'file:///countersign',
])('a token is not sent to %s', (service) => {
  const options = { application: 'deploy', tenant: 'T', callerToken: () => callerToken }
  expect(() => assertionProvider({ ...options, service })).toThrow(TypeError)
})
