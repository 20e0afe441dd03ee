import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import tls from 'node:tls'
import express, { type Express } from 'express'
import { Agent } from 'undici'
import { afterEach, describe, expect, test } from 'vitest'
import {
  listen,
  type ListenerSettings,
  type PortListener,
  readOwnCertificate,
} from '../../../src/http/listener.ts'
import type { ManyConnections } from '../../support/connect-many.ts'
import { createLoopbackTls } from '../../support/loopback-tls.ts'
import { sendRaw } from '../../support/raw-http.ts'
import { required } from '../../support/required.ts'

const host = '127.0.0.1'
const healthz = 'GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n'

let listener: PortListener | undefined

afterEach(async () => {
  await listener?.drain(0)
  listener = undefined
})

/** Connections that nobody has accepted, of one listener. @see listen(2) */
const kernelKeeps = () => Number(readFileSync('/proc/sys/net/core/somaxconn', 'latin1'))

/** Answers at once, and below `/slow` when it is told to. */
function app(slow: Promise<void> = Promise.resolve()): Express {
  const routes = express()
  routes.get('/healthz', (_request, response) => void response.end('alive'))
  routes.get('/slow', async (_request, response) => {
    await slow
    response.end('at last')
  })
  return routes
}

async function start(
  transport: ListenerSettings['transport'],
  routes: Express = app(),
): Promise<string> {
  listener = await listen(routes, { host, port: 0, connectionsMax: 100, transport })
  return listener.origin
}

describe('a plain listener', () => {
  test('says where it is, with the port that it took', async () => {
    const origin = await start({ kind: 'plain' })

    expect(origin).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/)
    expect(await (await fetch(`${origin}/healthz`)).text()).toBe('alive')
  })

  test('has a crowd wait in the kernel while its thread is busy, and nobody connect again', async () => {
    const crowd = Math.min(1000, kernelKeeps())
    listener = await listen(app(), {
      ...{ host, port: 0, connectionsMax: crowd },
      transport: { kind: 'plain' },
    })
    const connected = new SharedArrayBuffer(4)
    const port = Number(new URL(listener.origin).port)
    const clients = new Worker(new URL('../../support/connect-many.ts', import.meta.url), {
      workerData: { host, port, connections: crowd, connected } satisfies ManyConnections,
    })
    const there = new Int32Array(connected)
    const deadlineMs = performance.now() + 20_000
    // This thread accepts nobody meanwhile.
    for (let seen = 0; seen < crowd && performance.now() < deadlineMs; seen = there[0] ?? 0) {
      Atomics.wait(there, 0, seen, 100)
    }
    const inTime = there[0]
    clients.postMessage('end')
    await once(clients, 'exit')

    expect(inTime).toBe(crowd)
  })

  test('does not start where somebody else listens', async () => {
    const { port } = new URL(await start({ kind: 'plain' }))

    await expect(
      listen(app(), {
        host,
        port: Number(port),
        connectionsMax: 100,
        transport: { kind: 'plain' },
      }),
    ).rejects.toMatchObject({ code: 'EADDRINUSE' })
  })
})

describe('a listener with TLS', () => {
  const { key, cert } = createLoopbackTls()

  async function startTls(): Promise<string> {
    const folder = mkdtempSync(join(tmpdir(), 'countersign-tls-'))
    const [certFile, keyFile] = [join(folder, 'tls.crt'), join(folder, 'tls.key')]
    writeFileSync(certFile, cert)
    writeFileSync(keyFile, key)
    try {
      return await start({ kind: 'tls', certFile, keyFile })
    } finally {
      rmSync(folder, { recursive: true })
    }
  }

  test('shows its certificate, and answers no plain request', async () => {
    const origin = await startTls()
    const agent = new Agent({ connect: { ca: cert } })
    const { body } = await agent.request({ origin, path: '/healthz', method: 'GET' })

    expect(origin).toMatch(/^https:/)
    expect(await body.text()).toBe('alive')
    expect(await sendRaw(origin, healthz)).not.toContain('alive')
    await agent.close()
  })

  test('shows a renewed certificate to whoever connects from then on, and cuts nobody off', async () => {
    const origin = await startTls()
    const renewed = createLoopbackTls()
    const ask = async (agent: Agent) => {
      const { body } = await agent.request({ origin, path: '/healthz', method: 'GET' })
      return body.text()
    }
    const [before, after] = [cert, renewed.cert].map((ca) => new Agent({ connect: { ca } }))
    if (before === undefined || after === undefined) throw new Error('there are two')
    expect(await ask(before)).toBe('alive')
    await expect(ask(after)).rejects.toThrow()
    required(listener).show(renewed)
    expect(await ask(before)).toBe('alive')
    expect(await ask(after)).toBe('alive')
    const { port } = new URL(origin)
    const late = tls.connect({ host, port: Number(port), ca: cert })
    await expect(once(late, 'secureConnect')).rejects.toThrow()
    await Promise.all([before.close(), after.close()])
  })

  test('takes no certificate whose key is another one', () => {
    const folder = mkdtempSync(join(tmpdir(), 'countersign-tls-'))
    const [certFile, keyFile] = [join(folder, 'tls.crt'), join(folder, 'tls.key')]
    writeFileSync(certFile, cert)
    writeFileSync(keyFile, createLoopbackTls().key)
    expect(() => readOwnCertificate({ certFile, keyFile })).toThrow()
    writeFileSync(keyFile, key)
    expect(readOwnCertificate({ certFile, keyFile })).toEqual({ cert, key })
    rmSync(folder, { recursive: true })
  })

  test('speaks nothing older than TLS 1.2', async () => {
    const { port } = new URL(await startTls())
    const speak = async (maxVersion: 'TLSv1.1' | 'TLSv1.2') => {
      // The client would itself refuse the old version, were it not told to be careless.
      const careless = { minVersion: 'TLSv1', ciphers: 'DEFAULT:@SECLEVEL=0' } as const
      const socket = tls.connect({ host, port: Number(port), ca: cert, ...careless, maxVersion })
      try {
        await once(socket, 'secureConnect')
        return socket.getProtocol()
      } finally {
        socket.destroy()
      }
    }

    expect(await speak('TLSv1.2')).toBe('TLSv1.2')
    await expect(speak('TLSv1.1')).rejects.toMatchObject({
      code: 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION',
    })
  })
})

describe('a listener behind a proxy', () => {
  test.each([['127.0.0.1'], ['127.0.0.0/8'], ['::1', '127.0.0.1/32']])(
    'answers the addresses that it was given: %s',
    async (...addresses) => {
      const origin = await start({ kind: 'behind-proxy', addresses })

      expect(await sendRaw(origin, healthz)).toContain('alive')
    },
  )

  test.each([['10.0.0.5'], ['10.0.0.0/8', '::1'], ['127.0.0.2']])(
    'cuts everybody else off without a word: %s',
    async (...addresses) => {
      const origin = await start({ kind: 'behind-proxy', addresses })

      expect(await sendRaw(origin, healthz).catch(() => '')).toBe('')
    },
  )
})

describe('connections', () => {
  async function connected(origin: string): Promise<Socket> {
    const { hostname, port } = new URL(origin)
    const socket = connect(Number(port), hostname)
    await once(socket, 'connect')
    return socket
  }

  test('are cut beyond their number, which somebody is told, until there are fewer', async () => {
    const cut: string[] = []
    const settings = { host, port: 0, connectionsMax: 2, transport: { kind: 'plain' } } as const
    listener = await listen(app(), settings, (by) => void cut.push(by))
    const { origin } = listener
    const [first, second] = [await connected(origin), await connected(origin)]

    expect(await sendRaw(origin, healthz).catch(() => '')).toBe('')
    expect(cut).toEqual(['maxConnections'])
    first.end()
    await once(first, 'close')
    await expect.poll(() => sendRaw(origin, healthz).catch(() => '')).toContain('alive')
    second.destroy()
  })

  test('of one address are told what is too much beyond its share, and cut beyond that, until there are fewer', async () => {
    const cut: string[] = []
    const settings = {
      host,
      port: 0,
      connectionsMax: 200,
      connectionsPerAddressMax: 2,
      transport: { kind: 'plain' },
    } as const
    listener = await listen(app(), settings, (by) => void cut.push(by))
    const { origin } = listener
    const first = await connected(origin)
    expect(await sendRaw(origin, healthz)).toContain('alive')
    const second = await connected(origin)

    const told = await sendRaw(origin, healthz)
    expect(told).toMatch(/^HTTP\/1.1 429 /)
    expect(told).toMatch(/^connection: close\r$/m)
    expect(told).toMatch(/^retry-after: 5\r$/m)
    expect(told).toContain('"code":"too_many_connections"')

    const idle = await Promise.all(Array.from({ length: 64 }, () => connected(origin)))
    expect(cut).toEqual([])
    expect(await sendRaw(origin, healthz).catch(() => '')).toBe('')
    expect(cut).toEqual(['maxConnectionsPerAddress'])

    for (const socket of [first, ...idle]) socket.destroy()
    await expect.poll(() => sendRaw(origin, healthz).catch(() => '')).toContain('alive')
    second.destroy()
  })

  const kept = 'GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n'
  const countOf = (text: string, part: string) => text.split(part).length - 1

  test('end with their thousandth request, and say so', async () => {
    const origin = await start({ kind: 'plain' })
    const text = await sendRaw(origin, kept.repeat(1000), 5000)

    expect(countOf(text, 'HTTP/1.1 200')).toBe(1000)
    expect(countOf(text, 'Connection: close')).toBe(1)
    expect(text.lastIndexOf('Connection: close')).toBeGreaterThan(text.lastIndexOf('HTTP/1.1'))
  })

  test('carry a thousand requests at one time, whatever is sent after them', async () => {
    let asked = 0
    const routes = app().get('/never', () => {
      asked += 1
    })
    const origin = await start({ kind: 'plain' }, routes)
    await sendRaw(origin, kept.replace('healthz', 'never').repeat(1500), 500)

    expect(asked).toBe(1000)
  })
})

describe('a client that takes its time', () => {
  /** Sends one byte after the other, and resolves with what it was told when it is cut off. */
  async function dribble(origin: string, text: string): Promise<string> {
    const { hostname, port } = new URL(origin)
    const socket = connect(Number(port), hostname)
    let told = ''
    socket.on('data', (data: Buffer) => (told += data.toString()))
    // It is cut off while it writes.
    socket.on('error', () => undefined)
    let sent = 0
    const timer = setInterval(() => socket.write(text.charAt(sent++)), 100)
    try {
      await once(socket, 'close')
    } finally {
      clearInterval(timer)
      socket.destroy()
    }
    return told
  }

  test('over its headers or its body is cut off, and one that is slow and comes to its end is answered', async () => {
    const origin = await start({ kind: 'plain' }, app(new Promise(() => undefined)))
    const headers = `GET /healthz HTTP/1.1\r\nhost: x\r\nx-never: ${'x'.repeat(1000)}`
    const body = `GET /slow HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n${'x'.repeat(900)}`
    const whole = 'GET /healthz HTTP/1.1\r\nconnection: close\r\nhost:x\r\n\r\n'
    const [ofHeaders, ofBody, ofWhole] = await Promise.all([
      dribble(origin, headers),
      dribble(origin, body),
      dribble(origin, whole),
    ])

    expect(ofHeaders).toContain('HTTP/1.1 408')
    expect(ofBody).toContain('HTTP/1.1 408')
    expect(ofWhole).toContain('alive')
    // Without any limit of ours the two of them would send for minutes.
  }, 120_000)
})

describe('draining', () => {
  test('waits for an answer that is under way, and takes no new connection', async () => {
    const { promise: slow, resolve: answer } = Promise.withResolvers<undefined>()
    const origin = await start({ kind: 'plain' }, app(slow))
    const asked = fetch(`${origin}/slow`)
    // The request is there when another that came later has been answered.
    await fetch(`${origin}/healthz`)
    const drained = required(listener).drain(20_000)

    await expect(fetch(`${origin}/healthz`)).rejects.toThrow()
    answer(undefined)
    expect(await (await asked).text()).toBe('at last')
    await drained
  })

  test('does not wait for connections that ask nothing', async () => {
    const origin = await start({ kind: 'plain' })
    const { hostname, port } = new URL(origin)
    const idle = connect(Number(port), hostname)
    await once(idle, 'connect')
    await fetch(`${origin}/healthz`)

    const startedMs = performance.now()
    await required(listener).drain(20_000)
    expect(performance.now() - startedMs).toBeLessThan(10_000)
    idle.destroy()
  })

  test('cuts off at its deadline what does not end', async () => {
    const never = new Promise<void>(() => undefined)
    const origin = await start({ kind: 'plain' }, app(never))
    const asked = fetch(`${origin}/slow`)
    await fetch(`${origin}/healthz`)

    await Promise.all([expect(asked).rejects.toThrow(), required(listener).drain(200)])
  })
})
