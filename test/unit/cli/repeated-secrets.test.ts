import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'

/** What answers need not be the service, and what it says ends up in the log of a job. */

const program = fileURLToPath(new URL('../../../bin/countersign.js', import.meta.url))
const callerToken = 'opaque-token-of-the-job'

let server: Server
beforeAll(async () => {
  server = createServer((request, response) => {
    response.writeHead(403, { 'content-type': 'application/problem+json' })
    const detail = `You sent ${String(request.headers.authorization)}.`
    response.end(JSON.stringify({ title: 'No', detail }))
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
})
afterAll(() => server.close())

test.each([
  ['token', ['--scope', 'https://orders.example/.default']],
  ['assertion', []],
])(
  'countersign %s prints no secret of its environment that an answer repeats',
  async (verb, more) => {
    const { port } = server.address() as AddressInfo
    const tenant = 'fab00000-0000-4000-8000-000000000002'
    const options = ['--application', 'events', '--tenant', tenant, ...more]
    const child = spawn(process.execPath, [program, verb, ...options], {
      env: { COUNTERSIGN_URL: `http://127.0.0.1:${port}`, COUNTERSIGN_TOKEN: callerToken },
    })
    const exited = once(child, 'exit')
    const [out, error] = await Promise.all([text(child.stdout), text(child.stderr), exited])

    expect(out).toBe('')
    expect(error).toBe(`${verb}: No. You sent Bearer [redacted].\n`)
  },
)
