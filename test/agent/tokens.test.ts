import { decodeJwt } from 'jose'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { writeFileSync } from 'node:fs'
import { startCuttableProxy, type CuttableProxy } from '../support/cuttable-proxy.ts'
import { exchanging, holdBack, signing, strike } from '../support/faults.ts'
import type { TestEmulator } from '../support/emulator.ts'
import { type AgentAnswer, startTestAgent, type TestAgent } from '../support/test-agent.ts'
import {
  cast,
  defaultGrants,
  longLivedWorld,
  startServiceEmulator,
  startTestService,
  type TestService,
} from '../support/test-service.ts'

/** What programs are given over time, while the service is there, slow, unwilling or away. */

const orders = 'https://orders.example'
const eventHubs = 'https://eventhubs.azure.net'

let emulator: TestEmulator
let service: TestService
let wire: CuttableProxy
let agent: TestAgent

beforeAll(async () => {
  emulator = await startServiceEmulator(longLivedWorld)
})
afterAll(() => emulator.stop())

beforeEach(async () => {
  service = await startTestService({
    emulator,
    grants: [
      ...defaultGrants.map((grant) => ({ ...grant, limits: { perMinute: 1000 } })),
      {
        grant: 'scarce',
        caller: { issuer: 'gitlab', claims: { project_id: '20' } },
        may: [
          {
            application: 'events',
            tenant: cast.fabrikam,
            scopes: [cast.orders, cast.eventHubs],
          },
        ],
        limits: { perMinute: 1 },
      },
    ],
  })
  wire = await startCuttableProxy(Number(new URL(service.origin).port))
  agent = await startTestAgent({
    origin: `http://127.0.0.1:${wire.port}`,
    clock: service.clock,
    ownToken: await service.callerToken('fabrikam-orders'),
  })
  service.newEntries()
})
afterEach(async () => {
  emulator.faults.clear()
  await agent.stop()
  await wire.close()
  await service.stop()
})

const granted = () => service.newEntries().filter(({ kind }) => kind === 'request.granted').length
const tokenOf = ({ body }: AgentAnswer) => String(body['access_token'])
const isGiven = ({ status, body }: AgentAnswer) =>
  status === 200 && typeof body['access_token'] === 'string'
const renewOwnToken = async () => {
  writeFileSync(agent.ownTokenFile, await service.callerToken('fabrikam-orders'))
}

test('a token is asked for once, however many programs want it', async () => {
  const answers = await Promise.all(Array.from({ length: 40 }, () => agent.askFor(orders)))
  const later = await agent.askFor(orders)
  expect(answers.every(isGiven)).toBe(true)
  expect(new Set([...answers, later].map(tokenOf)).size).toBe(1)
  expect(granted()).toBe(1)
  await agent.askFor(eventHubs)
  expect(granted()).toBe(1)
})

test('while the service is away a token is given until it ends, and then none', async () => {
  const first = tokenOf(await agent.askFor(orders))
  const restore = wire.interrupt('cut')
  const { exp = 0 } = decodeJwt(first)
  emulator.clock.shift(exp - service.clock.nowSeconds() - 60)
  expect(tokenOf(await agent.askFor(orders))).toBe(first)
  emulator.clock.shift(60)
  const { status, headers, body } = await agent.askFor(orders)
  expect({ status, body }).toEqual({
    status: 503,
    body: {
      statusCode: 503,
      message: 'Countersign does not answer.',
      correlationId: expect.any(String) as string,
    },
  })
  expect(headers['retry-after']).toBeUndefined()
  expect(agent.failures).toContain('SERVICE_UNREACHABLE')
  restore()
  await renewOwnToken()
  const after = await agent.askFor(orders)
  expect(isGiven(after)).toBe(true)
  expect(tokenOf(after)).not.toBe(first)
})

test('a token in use is refreshed before it ends, and no program waits for it', async () => {
  const first = tokenOf(await agent.askFor(orders))
  await agent.askFor(orders)
  const { exp = 0 } = decodeJwt(first)
  emulator.clock.shift(exp - service.clock.nowSeconds() - 250)
  await renewOwnToken()
  // It has 250 s left, and is given until the other one is there.
  await expect.poll(async () => tokenOf(await agent.askFor(orders))).not.toBe(first)
  expect(agent.failures).toEqual([])
})

test('a token that nobody uses is not refreshed', async () => {
  const first = tokenOf(await agent.askFor(orders))
  service.newEntries()
  const { exp = 0 } = decodeJwt(first)
  emulator.clock.shift(exp - service.clock.nowSeconds() - 250)
  await new Promise((resolve) => setTimeout(resolve, 1500))
  expect(granted()).toBe(0)
})

test('what the service says about waiting is passed on and obeyed', async () => {
  writeFileSync(agent.ownTokenFile, await service.callerToken('gitlab'))
  expect(isGiven(await agent.askFor(orders))).toBe(true)
  const limited = await agent.askFor(eventHubs)
  expect(limited.status).toBe(429)
  expect(limited.body['message']).toMatch(
    /^Countersign asks to be asked less often \(limit_reached\)\. Attempt [0-9a-f-]{36}\.$/,
  )
  const waitSeconds = Number(limited.headers['retry-after'])
  expect(waitSeconds).toBeGreaterThan(0)
  service.newEntries()
  const again = await agent.askFor(eventHubs)
  expect(again.status).toBe(429)
  expect(Number(again.headers['retry-after'])).toBeLessThanOrEqual(waitSeconds)
  expect(service.newEntries()).toEqual([])
  // Others need not wait for it.
  expect(isGiven(await agent.askFor(orders))).toBe(true)
  emulator.clock.shift(waitSeconds)
  expect(isGiven(await agent.askFor(eventHubs))).toBe(true)
})

test('a vault that fails is said to be for now, and nothing is kept of it', async () => {
  strike(emulator, { ...signing, kind: 'server-error', times: 5 })
  const answer = await agent.askFor(orders)
  expect(answer.status).toBe(503)
  expect(answer.body['access_token']).toBeUndefined()
  expect(answer.body['message']).toMatch(/^Countersign cannot answer for now \([a-z_]+\)\. Attempt/)
  emulator.faults.clear()
  emulator.clock.shift(400)
  expect(isGiven(await agent.askFor(orders))).toBe(true)
})

test('what Entra refuses is not asked for again and again by its clients', async () => {
  const resource = 'https://nowhere.orders.example'
  await agent.stop()
  agent = await startTestAgent({
    origin: service.origin,
    clock: service.clock,
    ownToken: await service.callerToken('fabrikam-orders'),
    file: (written) => ({
      ...written,
      resources: {
        [resource]: { application: 'events', tenant: cast.nowhere, scope: cast.orders },
      },
    }),
  })
  const { status, body } = await agent.askFor(resource)
  expect(status).toBe(403)
  expect(body['message']).toMatch(/^Entra refuses the application \(entra_refused\)\. Attempt /)
})

test('a resource without a grant is refused, and the attempt is named', async () => {
  const { status, body } = await agent.askFor('https://vault.azure.net')
  expect(status).toBe(403)
  expect(body['message']).toMatch(
    /^Countersign does not allow this workload what it asks for \(not_granted\)\. Attempt [0-9a-f-]{36}\.$/,
  )
  expect(agent.failures).toEqual(['SERVICE_REFUSED'])
})

test('a reply of Entra that is lost costs an answer, and no program gets half a token', async () => {
  strike(emulator, { ...exchanging, kind: 'drop-after', times: 5 })
  const answer = await agent.askFor(orders)
  expect([answer.status, answer.body['access_token']]).toEqual([503, undefined])
  emulator.faults.clear()
  emulator.clock.shift(400)
  expect(isGiven(await agent.askFor(orders))).toBe(true)
})

test('an end waits for what was asked', async () => {
  const held = holdBack(emulator, exchanging)
  const asked = agent.askFor(orders)
  await held.reached()
  const stopped = agent.agent.stop(20_000)
  held.letGo()
  await stopped
  expect(isGiven(await asked)).toBe(true)
  await expect(agent.askFor(orders)).rejects.toThrow('ECONNREFUSED')
})
