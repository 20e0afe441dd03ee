import { createServer as createHttpsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { gzipSync } from 'node:zlib'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import {
  createJsonFetcher,
  parseFetchableUrl,
  type JsonFetcher,
} from '../../../src/caller/json-fetcher.ts'
import {
  startLoopbackIssuer,
  type Answer,
  type LoopbackIssuer,
} from '../../support/caller-issuer.ts'
import { createLoopbackTls } from '../../support/loopback-tls.ts'

let issuer: LoopbackIssuer
let fetcher: JsonFetcher

beforeAll(async () => {
  issuer = await startLoopbackIssuer()
})
afterAll(() => issuer.close())
beforeEach(() => {
  fetcher = createJsonFetcher()
})
afterEach(() => fetcher.close())

const fetchAnswer = (answer: Answer) => {
  issuer.answer('/document', answer)
  return fetcher.fetchJson(new URL('/document', issuer.url))
}
const unreachable = { name: 'FetchError', code: 'FETCH_UNREACHABLE' }
const malformed = { name: 'FetchError', code: 'FETCH_MALFORMED' }

describe('createJsonFetcher', () => {
  it('returns the JSON of an answer with status 200', async () => {
    await expect(fetchAnswer({ json: { keys: [1, 'two'] } })).resolves.toEqual({ keys: [1, 'two'] })
  })

  it.each([201, 204, 304, 400, 403, 404, 429, 500, 503])('refuses status %i', async (status) => {
    const raw: Answer = { raw: (_, response) => response.writeHead(status).end() }
    await expect(fetchAnswer(raw)).rejects.toMatchObject(unreachable)
  })

  it.each([301, 302, 303, 307, 308])(
    'does not follow a redirect with status %i',
    async (status) => {
      const asked = issuer.asked.length
      const raw: Answer = {
        raw: (_, response) => response.writeHead(status, { location: '/elsewhere' }).end(),
      }
      await expect(fetchAnswer(raw)).rejects.toMatchObject(unreachable)
      expect(issuer.asked.slice(asked)).toEqual(['/document'])
    },
  )

  it('stops reading an answer that is larger than half a megabyte', async () => {
    let written = 0
    const raw: Answer = {
      raw: (_, response) => {
        const chunk = Buffer.alloc(64 * 1024, ' ')
        const write = () => {
          if (response.destroyed || written > 50 * 2 ** 20) return
          written += chunk.length
          response.write(chunk, write)
        }
        write()
      },
    }
    await expect(fetchAnswer(raw)).rejects.toMatchObject(unreachable)
    expect(written).toBeLessThan(20 * 2 ** 20)
  })

  it('gives up after five seconds when the answer never ends', async () => {
    const started = performance.now()
    const raw: Answer = { raw: (_, response) => response.writeHead(200).write('{"keys":') }
    await expect(fetchAnswer(raw)).rejects.toMatchObject(unreachable)
    expect(performance.now() - started).toBeGreaterThan(4500)
    expect(performance.now() - started).toBeLessThan(20_000)
  })

  it('refuses an answer that breaks off', async () => {
    const raw: Answer = {
      raw: (_, response) => {
        response.writeHead(200, { 'content-length': 100 })
        response.write('{"keys":[]', () => response.destroy())
      },
    }
    await expect(fetchAnswer(raw)).rejects.toMatchObject(unreachable)
  })

  it.each([
    ['text', 'keys are elsewhere'],
    ['nothing', ''],
    ['two documents', '{}{}'],
    ['a compressed document, which was not asked for', gzipSync('{}')],
  ])('refuses %s, without quoting it', async (_, body) => {
    const failure = fetchAnswer({ raw: (_request, response) => response.end(body) })
    await expect(failure).rejects.toMatchObject({
      ...malformed,
      message: 'FETCH_MALFORMED: not JSON',
    })
    await expect(failure).rejects.not.toHaveProperty('cause')
  })

  it('refuses an issuer where nobody listens', async () => {
    const gone = await startLoopbackIssuer()
    await gone.close()
    await expect(fetcher.fetchJson(new URL(gone.url))).rejects.toMatchObject(unreachable)
  })

  it('asks nobody over plain http beyond this machine', async () => {
    await expect(fetcher.fetchJson(new URL('http://issuer.example/keys'))).rejects.toThrow(
      TypeError,
    )
  })
})

describe('createJsonFetcher over TLS', () => {
  const { key, cert } = createLoopbackTls()
  const server = createHttpsServer({ key, cert }, (_, response) => response.end('{"keys":[]}'))
  let url: URL

  beforeAll(async () => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    url = new URL(`https://127.0.0.1:${(server.address() as AddressInfo).port}/keys`)
  })
  afterAll(() => {
    server.close()
  })

  it('refuses a certificate that nobody trusts', async () => {
    await expect(fetcher.fetchJson(url)).rejects.toMatchObject(unreachable)
  })

  it('accepts it once its authority is trusted', async () => {
    const trusting = createJsonFetcher({ caCertificates: [cert] })
    await expect(trusting.fetchJson(url)).resolves.toEqual({ keys: [] })
    await trusting.close()
  })

  it('refuses it for another host name than its own', async () => {
    const trusting = createJsonFetcher({ caCertificates: [cert] })
    const otherName = new URL(url)
    otherName.hostname = 'localhost'
    await expect(trusting.fetchJson(otherName)).rejects.toMatchObject(unreachable)
    await trusting.close()
  })
})

describe('parseFetchableUrl', () => {
  it.each([
    ['https://issuer.example'],
    ['https://issuer.example:8443/a/b'],
    ['http://localhost:8080/keys'],
    ['http://127.0.0.1/keys'],
    ['http://127.8.9.10:1/'],
    ['http://[::1]:9/keys'],
  ])('accepts %s', (text) => {
    expect(parseFetchableUrl(text)?.href).toBe(new URL(text).href)
  })

  it.each([
    [''],
    ['issuer.example'],
    ['//issuer.example'],
    ['http://issuer.example'],
    ['http://127.0.0.1.example'],
    ['http://localhost.example'],
    ['http://keys.localhost'],
    ['http://10.0.0.1'],
    ['http://169.254.169.254/metadata'],
    ['file:///etc/passwd'],
    ['data:application/json,{}'],
    ['https://user@issuer.example'],
    ['https://:secret@issuer.example'],
    ['https://issuer.example?a=b'],
    ['https://issuer.example#a'],
  ])('refuses %s', (text) => {
    expect(parseFetchableUrl(text)).toBeUndefined()
  })
})
