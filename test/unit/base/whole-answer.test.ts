import { once } from 'node:events'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Agent } from 'undici'
import { afterEach, beforeEach, expect, test } from 'vitest'
import {
  AnswerTooLong,
  parseRetryAfter,
  wholeAnswer,
  type WholeAnswerOptions,
} from '../../../src/base/whole-answer.ts'

let agent: Agent
let server: Server | undefined
beforeEach(() => {
  agent = new Agent()
})
afterEach(async () => {
  await agent.destroy()
  server?.closeAllConnections()
  server?.close()
})

async function asked(answer: RequestListener, options: WholeAnswerOptions = {}) {
  server = createServer(answer).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const order = { origin: `http://127.0.0.1:${port}`, path: '/', method: 'POST', body: 'sent' }
  return wholeAnswer(agent, { ...order, method: 'POST' }, options)
}

test('is whole, however it comes in parts', async () => {
  const answer = await asked((request, response) => {
    response.setHeader('x-asked', request.method ?? '')
    response.statusCode = 418
    response.write('one, ')
    setTimeout(() => response.end('two'), 20)
  })

  expect(answer).toMatchObject({ status: 418, headers: { 'x-asked': 'POST' } })
  expect(answer.body.toString()).toBe('one, two')
})

test('is the last one, not what was said before it', async () => {
  const answer = await asked((_, response) => {
    response.writeEarlyHints({ link: '</style.css>; rel=preload' })
    response.end('final')
  })

  expect([answer.status, answer.body.toString()]).toEqual([200, 'final'])
})

test('may be as long as it is allowed, and no byte more', async () => {
  const answers: RequestListener = (_, response) => response.end('x'.repeat(1000))

  expect((await asked(answers, { bytesMax: 1000 })).body).toHaveLength(1000)
  await expect(asked(answers, { bytesMax: 999 })).rejects.toThrow(AnswerTooLong)
})

test('is not waited for when the signal ends it, before or meanwhile', async () => {
  const reason = new Error('enough')
  const silent: RequestListener = () => undefined

  await expect(asked(silent, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
  const stop = new AbortController()
  const waited = asked(
    (_, response) => {
      response.write('half of ')
      setTimeout(() => {
        stop.abort(reason)
      }, 20)
    },
    { signal: stop.signal },
  )
  await expect(waited).rejects.toBe(reason)
})

test('that is cut off is none', async () => {
  const cut: RequestListener = (_, response) => {
    response.writeHead(200, { 'content-length': '100' })
    response.write('half of it')
    setTimeout(() => response.destroy(), 20)
  }

  await expect(asked(cut)).rejects.toThrow(/other side closed|terminated|ECONNRESET/)
})

test.each([
  ['0', 0],
  ['120', 120],
  ['99999', 99_999],
  ['100000', undefined],
  ['-1', undefined],
  ['1.5', undefined],
  ['', undefined],
  ['Wed, 21 Oct 2026 07:28:00 GMT', undefined],
  [undefined, undefined],
])('takes seconds to come back in, and no date: %j', (text, seconds) => {
  expect(parseRetryAfter(text)).toBe(seconds)
})
