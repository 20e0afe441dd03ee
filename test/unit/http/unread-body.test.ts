import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { connect, type AddressInfo, type Socket } from 'node:net'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { jsonAnswer, writeAnswer } from '../../../src/http/answer.ts'
import { sendRaw } from '../../support/raw-http.ts'
import { required } from '../../support/required.ts'

/** A server that answers without looking at the body, and what it took from the connection. */
let server: Server
let origin: string
let accepted: Socket | undefined

beforeEach(async () => {
  server = createServer((request, response) => {
    // A moment later, as routes that wait for something do: what came with the head is parsed by then.
    setImmediate(() => {
      writeAnswer(response, jsonAnswer(200, { path: request.url }))
    })
  })
  server.on('connection', (socket) => (accepted = socket))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterEach(() => {
  server.closeAllConnections()
  server.close()
})

const head = (...headers: readonly string[]) =>
  ['POST /first HTTP/1.1', 'host: x', ...headers, '', ''].join('\r\n')
const second = 'GET /second HTTP/1.1\r\nhost: x\r\n\r\n'
const answered = (path: string) => JSON.stringify({ path })

/** Writes as long as it is let, and returns what was answered. */
async function writeWithoutEnd(start: string): Promise<string> {
  const { hostname, port } = new URL(origin)
  const socket = connect(Number(port), hostname)
  const chunk = Buffer.alloc(64 * 1024, 'x')
  let text = ''
  socket.on('data', (data: Buffer) => (text += data.toString()))
  // The connection is cut while it writes: what it reads until then is what counts.
  socket.on('error', () => undefined)
  await once(socket, 'connect')
  socket.write(start)
  const write = () => {
    while (!socket.destroyed && socket.write(chunk));
  }
  socket.on('drain', write)
  write()
  await new Promise((resolve) => socket.on('close', resolve))
  return text
}

describe('an answer to a request whose body was not read', () => {
  test('reaches a client that sends for ever, which is then cut off', async () => {
    const text = await writeWithoutEnd(head('content-length: 9000000000'))

    expect(text).toContain(answered('/first'))
    expect(text).toMatch(/^connection: close\r$/im)
    // What was thrown away, and what the socket had taken when that was enough.
    expect(required(accepted).bytesRead).toBeLessThan(1024 * 1024)
  })

  test('reaches a client that announces a body and sends nothing', async () => {
    const text = await sendRaw(origin, head('content-length: 9000'), 5000)

    expect(text).toContain(answered('/first'))
  })

  test('reaches a client that reads when it has written all', async () => {
    const text = await sendRaw(origin, head('content-length: 200000') + 'x'.repeat(200_000))

    expect(text).toContain(answered('/first'))
  })

  test.each(['content-length: 1000', 'transfer-encoding: chunked'])(
    'is the last on its connection, so that the body is not taken for a request: %s',
    async (announced) => {
      const { hostname, port } = new URL(origin)
      const socket = connect(Number(port), hostname)
      let text = ''
      socket.on('data', (data: Buffer) => (text += data.toString()))
      await once(socket, 'connect')
      socket.write(head(announced))
      await expect.poll(() => text).toContain(answered('/first'))
      socket.write(second)
      await once(socket, 'close')

      expect(text).not.toContain(answered('/second'))
    },
  )
})

describe('an answer to a request that was there to its end', () => {
  test.each([
    ['no body', head()],
    ['an empty body', head('content-length: 0')],
    ['a body that nobody wanted', `${head('content-length: 5')}12345`],
    ['more of it than a chunk', `${head('content-length: 20000')}${'x'.repeat(20_000)}`],
    ['chunks', `${head('transfer-encoding: chunked')}5\r\n12345\r\n0\r\n\r\n`],
  ])('keeps the connection for the next: %s', async (_, first) => {
    const text = await sendRaw(origin, first + second)

    expect(text).toContain(answered('/first'))
    expect(text).toContain(answered('/second'))
  })
})
