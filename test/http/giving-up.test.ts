import { Agent } from 'undici'
import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  cast,
  deployAsk,
  startServiceEmulator,
  startTestService,
  type TestService,
} from '../support/test-service.ts'
import type { TestEmulator } from '../support/emulator.ts'

/** Whoever goes while it waits to be handed an assertion: nobody would take it, so nothing is signed. */

let emulator: TestEmulator
let service: TestService
let agent: Agent

beforeAll(async () => {
  emulator = await startServiceEmulator()
  // Eight assertions in ten seconds.
  service = await startTestService({
    emulator,
    configuration: (file) => ({ ...file, governor: { headroom: 0.01 } }),
  })
  agent = new Agent()
})
afterAll(async () => {
  await agent.destroy()
  await service.stop()
  await emulator.stop()
})

const waiting = async () => {
  const { text } = await service.ask('GET /metrics')
  return Number(/^countersign_sign_queue_length\{certificate="deploy".*\} (\d+)$/m.exec(text)?.[1])
}

test.each([
  ['POST', '/v1/assertion', JSON.stringify(deployAsk)],
  ['GET', `/v1/assertion/deploy/${cast.fabrikam}`, null],
] as const)('%s %s: gives its turn up', async (method, path, body) => {
  const token = await service.callerToken('github')
  emulator.clock.shift(20)
  const served = await Promise.all(
    Array.from({ length: 8 }, () => service.ask('POST /v1/assertion', { token, json: deployAsk })),
  )
  expect(new Set(served.map(({ status }) => status))).toEqual(new Set([200]))
  service.newEntries()

  const gone = new AbortController()
  const asking = agent.request({
    origin: service.origin,
    path,
    method,
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body,
    signal: gone.signal,
  })
  await expect.poll(waiting).toBe(1)
  gone.abort()
  await expect(asking).rejects.toThrow()
  await expect.poll(waiting).toBe(0)

  await expect
    .poll(() => service.entries().at(-1))
    .toMatchObject({ kind: 'request.failed', code: 'GOVERNOR_ABANDONED' })
  expect(service.newEntries().map(({ kind }) => kind)).toEqual(['request.failed'])
})
