import { connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { systemClock } from '../../src/base/clock.ts'
import { startTestAgent, type TestAgent } from '../support/test-agent.ts'
import { cast } from '../support/test-service.ts'

/** Whatever is wrong here, the service is not asked: nothing listens where it would be. */

let agent: TestAgent
beforeAll(async () => {
  agent = await startTestAgent({
    origin: 'http://127.0.0.1:9',
    clock: systemClock,
    ownToken: 'a.b.c',
    file: (written) => ({
      ...written,
      shapes: {
        appService: {},
        imds: {},
        requestUrl: { application: 'deploy', tenant: cast.fabrikam },
      },
      anyLocalProcess: 'accept',
    }),
  })
})
afterAll(() => agent.stop())

const asked = 'GET /msi/token?api-version=2019-08-01&resource=https://orders.example'
const shown = () => ({ 'x-identity-header': agent.agent.variables['IDENTITY_HEADER'] ?? '' })

/** What is answered to bytes that no client would send. */
function raw(text: string): Promise<string> {
  const { port } = new URL(agent.agent.origin)
  const { promise, resolve } = Promise.withResolvers<string>()
  let answer = ''
  const socket = connect(Number(port), '127.0.0.1')
  socket
    .setEncoding('utf8')
    .on('data', (chunk: string) => {
      answer += chunk
    })
    .on('error', () => undefined)
    .on('close', () => {
      resolve(answer)
    })
  socket.write(text)
  return promise
}

describe('the agent', () => {
  test('takes what is asked with the secret, from this machine', async () => {
    expect((await agent.ask(asked, shown())).status).toBe(503)
    for (const host of ['localhost:80', '127.0.0.9', '[::1]:1']) {
      expect((await agent.ask(asked, { ...shown(), host })).status).toBe(503)
    }
  })

  test('does not answer under a name that is not of loopback', async () => {
    const line = `GET ${asked.slice(4)} HTTP/1.1\r\nX-Identity-Header: ${shown()['x-identity-header']}`
    for (const host of ['attacker.example', 'localhost.attacker.example', '169.254.169.254', '']) {
      const answer = await raw(`${line}\r\nHost: ${host}\r\n\r\n`)
      expect(answer).toMatch(/^HTTP\/1\.1 403 /)
      expect(answer).toContain('The Host header must name loopback.')
    }
    expect(await raw(`${line}\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n`)).toMatch(
      /^HTTP\/1\.1 503 /,
    )
  })

  test.for(['GET /metadata/identity/oauth2/token', 'GET /ci/github', 'POST /ci/azure-pipelines'])(
    'does not answer %s under another name either',
    async (request) => {
      const rest = 'Metadata: true\r\nConnection: close\r\n\r\n'
      const answer = await raw(`${request} HTTP/1.1\r\nHost: attacker.example\r\n${rest}`)
      expect(answer).toContain('The Host header must name loopback.')
      const asked = await raw(`${request} HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: null\r\n${rest}`)
      expect(asked).toContain('Browsers are not answered.')
      // There is something that would have been answered.
      const sound = await raw(`${request} HTTP/1.1\r\nHost: 127.0.0.1\r\n${rest}`)
      expect(sound).toMatch(/^HTTP\/1\.1 40[01] /)
    },
  )

  test('does not answer a request with two Host headers, or none', async () => {
    const line = 'GET /msi/token HTTP/1.1\r\n'
    const two = await raw(
      `${line}Host: 127.0.0.1\r\nHost: attacker.example\r\nConnection: close\r\n\r\n`,
    )
    expect(two).toMatch(/^HTTP\/1\.1 40[03] /)
    expect(await raw(`${line}Connection: close\r\n\r\n`)).toMatch(/^HTTP\/1\.1 400 /)
  })

  test('does not answer browsers, whatever they know', async () => {
    for (const header of ['origin', 'Sec-Fetch-Site', 'sec-fetch-dest', 'sec-fetch-anything']) {
      const { status, body } = await agent.ask(asked, { ...shown(), [header]: 'null' })
      expect([status, body['error_description']]).toEqual([403, 'Browsers are not answered.'])
    }
    const preflight = await agent.ask(asked.replace('GET', 'OPTIONS'), {
      origin: 'https://a.example',
    })
    expect(preflight.status).toBe(403)
    expect(Object.keys(preflight.headers).filter((name) => name.includes('allow'))).toEqual([])
  })

  test('takes the fetch of Node for the program that it is', async () => {
    const url = `${agent.agent.origin}${asked.slice(4)}`
    expect((await fetch(url, { headers: shown() })).status).toBe(503)
  })

  test('has nothing at other paths', async () => {
    for (const path of ['/', '/msi', '/msi/token/more', '/msi/token%2f', '//msi/token']) {
      expect((await agent.ask(`GET ${path}`, shown())).status).toBe(404)
    }
    expect((await agent.ask(asked.replace('token?', 'token/?'), shown())).status).toBe(503)
  })

  test('reads no more than a request can need', async () => {
    const long = await agent.ask(asked.replace('GET', 'POST'), shown(), 'x'.repeat(9_000))
    expect(long.status).toBe(413)
    const head = `GET /msi/token HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Long: ${'x'.repeat(20_000)}\r\n\r\n`
    expect(await raw(head)).toMatch(/^HTTP\/1\.1 431 /)
  })

  test('is on loopback alone', () => {
    expect(new URL(agent.agent.origin).hostname).toBe('127.0.0.1')
  })
})

test("what a job shows its platform is refused by the agent's request URLs, and told to nobody", async () => {
  const before = agent.failures.length
  const platforms =
    'eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJhcHAudnN0b2tlbi52aXN1YWxzdHVkaW8uY29tIn0.c2lnbmVk'
  for (const request of ['GET /ci/github?api-version=2.0', 'POST /ci/azure-pipelines']) {
    for (const scheme of ['Bearer', 'Basic']) {
      const { status, body } = await agent.ask(request, { authorization: `${scheme} ${platforms}` })
      expect([status, body]).toEqual([401, { message: 'The request token is missing or wrong.' }])
    }
  }
  // Not even that somebody has asked.
  expect(agent.failures.slice(before)).toEqual([])
  await agent.ask('GET /ci/github?api-version=2.0', {
    authorization: `Bearer ${agent.agent.variables['ACTIONS_ID_TOKEN_REQUEST_TOKEN'] ?? ''}`,
  })
  expect(agent.failures.slice(before)).toEqual(['SERVICE_UNREACHABLE'])
})
