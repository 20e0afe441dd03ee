import { execFile } from 'node:child_process'
import { rmSync, writeFileSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { promisify } from 'node:util'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { type CuttableProxy, startCuttableProxy } from '../support/cuttable-proxy.ts'
import { type MadeUpServer, startMadeUpServer } from '../support/made-up-server.ts'
import {
  type AgentAnswer,
  startTestAgent,
  type TestAgent,
  type TestAgentOptions,
} from '../support/test-agent.ts'
import { cast, startTestService, type TestService } from '../support/test-service.ts'

/** What goes wrong behind the agent, as Microsoft's own client says it to a program. */

let service: TestService
let wire: CuttableProxy
let agent: TestAgent | undefined
let server: MadeUpServer | undefined

beforeAll(async () => {
  service = await startTestService()
  wire = await startCuttableProxy(Number(new URL(service.origin).port))
})
afterEach(async () => {
  await agent?.stop()
  await server?.close()
  agent = undefined
  server = undefined
})
afterAll(async () => {
  await wire.close()
  await service.stop()
})

async function start(options: Partial<TestAgentOptions> = {}): Promise<TestAgent> {
  agent = await startTestAgent({
    origin: `http://127.0.0.1:${wire.port}`,
    clock: service.clock,
    ownToken: await service.callerToken('fabrikam-orders'),
    ...options,
  })
  return agent
}

/** The way to the service broken, for as long as it takes; afterwards it is whole again, whatever came of it. */
async function whileBroken(how: 'cut' | 'stall', act: () => Promise<void>): Promise<void> {
  const restore = wire.interrupt(how)
  try {
    await act()
  } finally {
    restore()
  }
}

const client = new URL('../support/managed-identity-client.ts', import.meta.url).pathname

/** What ManagedIdentityCredential throws; it has asked again by itself where it thinks that this helps. */
async function errorTo({ agent: { variables } }: TestAgent): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, [client, cast.orders], {
    env: variables,
    timeout: 60_000,
  })
  const { error = 'there was none' } = JSON.parse(stdout) as { readonly error?: string }
  return error
}

const problem =
  (status: number, code: string, headers = {}) =>
  (response: ServerResponse) => {
    const attempt = '0190a5b0-0000-7000-8000-000000000001'
    response.writeHead(status, headers).end(JSON.stringify({ code, attempt }))
  }

describe('ManagedIdentityCredential', () => {
  test('says that the service does not answer while it is away, and gets its token afterwards', async () => {
    const started = await start()
    await whileBroken('cut', async () => {
      expect(await errorTo(started)).toContain('Countersign does not answer.')
    })
    expect(await errorTo(started)).toBe('there was none')
  }, 120_000)

  test.for([
    ['429', problem(429, 'limit_reached', { 'retry-after': '1' }), 'asks to be asked less often'],
    ['503', problem(503, 'signer_unavailable'), 'cannot answer for now'],
    [
      'a page in front',
      (response: ServerResponse) => response.writeHead(502).end('<html>'),
      'cannot answer for now',
    ],
  ] as const)(
    'says what %s means, and asks as often as it does of Azure',
    { timeout: 120_000 },
    async ([, answer, words]) => {
      let asked = 0
      server = await startMadeUpServer((_, response) => {
        asked += 1
        answer(response)
      })
      expect(await errorTo(await start({ origin: server.origin }))).toContain(words)
      // Once and three times again, by its own policy.
      expect(asked).toBe(4)
    },
  )

  test('says that the identity of the workload is not proven by a token that is over', async () => {
    const ownToken = await service.callerToken('github', { wrong: 'expired' })
    expect(await errorTo(await start({ ownToken }))).toMatch(
      /workload's own identity for proven \(caller_not_proven\)\. Attempt [0-9a-f-]{36}/,
    )
  }, 120_000)

  test.for([
    ['gone', undefined],
    ['half-written', 'eyJhbGciOiJSUzI1NiJ9.eyJpc3Mi'],
  ] as const)(
    'says that there is no identity while its file is %s, and nothing of what is in it',
    { timeout: 120_000 },
    async ([, text]) => {
      const started = await start()
      if (text === undefined) rmSync(started.ownTokenFile)
      else writeFileSync(started.ownTokenFile, text)
      const error = await errorTo(started)
      expect(error).toContain("The workload's own identity cannot be had")
      expect(error).not.toContain('eyJ')
    },
  )
})

describe('the probe of DefaultAzureCredential', () => {
  /** Its own budget (`imdsMsi` of @azure/identity): whatever takes longer is no managed identity to it. */
  const probeBudgetMs = 1000

  // The client itself sends it to 169.254.169.254 alone, and to no address of its environment.
  test('is answered within its budget while the service hangs, with many programs waiting', async () => {
    const started = await start({
      file: (written) => ({ ...written, shapes: { imds: {} }, anyLocalProcess: 'accept' }),
    })
    const path = '/metadata/identity/oauth2/token'
    const query = `api-version=2018-02-01&resource=https://orders.example`
    let waiting: readonly Promise<AgentAnswer>[] = []
    await whileBroken('stall', async () => {
      waiting = Array.from({ length: 20 }, () =>
        started.ask(`GET ${path}?${query}`, { metadata: 'true' }),
      )
      const { status } = await fetch(`${started.agent.origin}${path}`, {
        signal: AbortSignal.timeout(probeBudgetMs),
      })
      expect(status).toBe(400)
    })
    const answers = await Promise.all(waiting)
    expect([200, 503]).toEqual(expect.arrayContaining(answers.map(({ status }) => status)))
  }, 120_000)
})
