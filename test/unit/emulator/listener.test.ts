import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { get, request } from 'node:https'
import type { IncomingMessage } from 'node:http'
import { buffer } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  createCertificateAuthority,
  type CertificateAuthority,
} from '../../../src/emulator/certificate-authority.ts'
import { createEmulatorClock } from '../../../src/emulator/emulator-clock.ts'
import type { EmulatedReply, EmulatedRequest } from '../../../src/emulator/exchange.ts'
import { listenHttp, listenHttps, type Listener } from '../../../src/emulator/listener.ts'

let authority: CertificateAuthority
let listener: Listener
let received: EmulatedRequest[] = []
let reply: (request: EmulatedRequest) => EmulatedReply

const answer = (body: string): EmulatedReply => ({
  kind: 'answer',
  status: 200,
  headers: { 'content-type': 'text/plain', 'set-cookie': ['a=1', 'b=2'] },
  body: Buffer.from(body),
})

beforeAll(async () => {
  authority = await createCertificateAuthority(createEmulatorClock())
  listener = await listenHttps({ tls: await authority.issueServerCertificate() })
  listener.serve((incoming) => {
    received.push(incoming)
    return Promise.resolve(reply(incoming))
  })
  reply = () => answer('hello')
})
afterAll(() => listener.close())

async function fetchText(path: string, ca: string[], host = '127.0.0.1') {
  const outgoing = get({ host, port: listener.port, path, ca, agent: false })
  const [incoming] = (await once(outgoing, 'response')) as [IncomingMessage]
  return { incoming, text: (await buffer(incoming)).toString() }
}

describe('TLS', () => {
  test.each(['127.0.0.1', 'localhost'])(
    'is trusted at %s by whoever trusts the CA',
    async (host) => {
      const { text } = await fetchText('/', [authority.certificatePem], host)
      expect(text).toBe('hello')
    },
  )

  test('is not trusted by anybody else', async () => {
    const other = await createCertificateAuthority(createEmulatorClock())
    await expect(fetchText('/', [other.certificatePem])).rejects.toThrow(/signature|verify/)
  })

  test('the CA cannot be taken for a server, nor the server for a CA', async () => {
    const server = await authority.issueServerCertificate()
    const ca = new X509Certificate(authority.certificatePem)
    const leaf = new X509Certificate(server.certificatePem)
    expect([ca.ca, leaf.ca]).toEqual([true, false])
    expect(leaf.checkIssued(ca) && leaf.verify(ca.publicKey)).toBe(true)
    expect(leaf.checkIP('::1')).toBe('::1')
    expect(leaf.checkHost('vault.azure.net')).toBeUndefined()
  })
})

describe('requests', () => {
  test('come undecoded, with decoded query names', async () => {
    received = []
    await fetchText('/keys/a//sign?api%2Dversion=2025-07-01', [authority.certificatePem])
    const [seen] = received
    expect(seen?.path).toBe('/keys/a//sign')
    expect(seen?.target).toBe('/keys/a//sign?api%2Dversion=2025-07-01')
    expect(seen?.query.get('api-version')).toBe('2025-07-01')
    expect(seen?.remoteAddress).toBe('127.0.0.1')
    expect(seen?.tlsVersion).toBe('TLSv1.3')
  })

  test('with a body past the bound are answered 413 and never reach the service', async () => {
    received = []
    const outgoing = request({
      host: '127.0.0.1',
      port: listener.port,
      method: 'POST',
      ca: [authority.certificatePem],
      agent: false,
    })
    outgoing.end(Buffer.alloc(300 * 1024))
    const [incoming] = (await once(outgoing, 'response')) as [IncomingMessage]
    expect(incoming.statusCode).toBe(413)
    incoming.resume()
    expect(received).toEqual([])
  })
})

describe('replies', () => {
  test('keep repeated headers apart', async () => {
    const { incoming } = await fetchText('/', [authority.certificatePem])
    expect(incoming.headers['set-cookie']).toEqual(['a=1', 'b=2'])
  })

  test('that drop end the connection without a byte', async () => {
    reply = () => ({ kind: 'drop' })
    await expect(fetchText('/', [authority.certificatePem])).rejects.toThrow(/hang up|ECONNRESET/)
    reply = () => answer('hello')
  })
})

test('closing ends connections that still wait for a delayed answer', async () => {
  const delayed = await listenHttp()
  const asked = Promise.withResolvers<undefined>()
  delayed.serve(() => {
    asked.resolve(undefined)
    return Promise.resolve({ ...answer(''), delayMs: 60_000 })
  })
  const pending = fetch(delayed.origin)
  const refused = expect(pending).rejects.toThrow()
  await asked.promise
  await delayed.close()
  await refused
})

test('a delay that is taken away ends at once, and the answer is what it would have been', async () => {
  const listener = await listenHttp()
  const undelaying = new AbortController()
  listener.serve(() => {
    undelaying.abort()
    return Promise.resolve({ ...answer('hello'), delayMs: 60_000, undelayed: undelaying.signal })
  })
  expect(await (await fetch(listener.origin)).text()).toBe('hello')
  await listener.close()
})

test('refuses to listen where others could reach it', async () => {
  await expect(listenHttp({ host: '0.0.0.0' })).rejects.toThrow(/not a loopback address/)
})

test('answers 503 until it has a service', async () => {
  const empty = await listenHttp()
  expect((await fetch(empty.origin)).status).toBe(503)
  await empty.close()
})

test('answers 500 and warns when a service throws, so that a mistake is not taken for a fault', async () => {
  const broken = await listenHttp()
  broken.serve(() => Promise.reject(new Error('not foreseen')))
  const warned = new Promise<Error>((resolve) => process.once('warning', resolve))
  const response = await fetch(`${broken.origin}/some/path`)
  expect(response.status).toBe(500)
  expect(await response.text()).toContain(
    'the emulator failed at GET /some/path: Error: not foreseen',
  )
  expect((await warned).message).toContain('not foreseen')
  await broken.close()
})
