import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type CuttableProxy, startCuttableProxy } from '../support/cuttable-proxy.ts'
import type { TestEmulator } from '../support/emulator.ts'
import { type AgentFile, startTestAgent, type TestAgent } from '../support/test-agent.ts'
import {
  cast,
  defaultGrants,
  type GrantFile,
  longLivedWorld,
  startServiceEmulator,
  startTestService,
  type TestService,
} from '../support/test-service.ts'
import { type WorldClock, worldClock } from '../support/world-clock.ts'

/** What the service allowed, and then does not allow any more. */

const orders = 'https://orders.example'
const northwind = 'https://northwind.orders.example'

const fabrikams = { issuer: 'fabrikam', claims: { tid: cast.fabrikam, oid: cast.workloadObjectId } }
const assertions: GrantFile = {
  grant: 'orders-deploys',
  caller: fabrikams,
  may: [{ application: 'deploy', tenant: cast.fabrikam, assertion: { lifetimeSeconds: 600 } }],
}
const onCall: GrantFile = {
  grant: 'on-call',
  caller: { issuer: 'gitlab', claims: { project_id: '20' } },
  may: [{ admin: 'revoke' }],
}

let emulator: TestEmulator
let clock: WorldClock
let service: TestService
let wire: CuttableProxy
let agent: TestAgent

const start = async (more: Partial<AgentFile> = {}) => {
  agent = await startTestAgent({
    origin: `http://127.0.0.1:${wire.port}`,
    clock: service.clock,
    ownToken: await service.callerToken('fabrikam-orders'),
    file: (written) => ({ ...written, ...more }),
  })
}

beforeAll(async () => {
  emulator = await startServiceEmulator(longLivedWorld)
})
afterAll(() => emulator.stop())

beforeEach(async () => {
  clock = worldClock(emulator.clock)
  service = await startTestService({
    emulator,
    clock,
    grants: [...defaultGrants, assertions, onCall],
  })
  wire = await startCuttableProxy(Number(new URL(service.origin).port))
})
afterEach(async () => {
  await agent.stop()
  await wire.close()
  await service.stop()
})

async function revoke(what: Readonly<Record<string, string>>): Promise<string> {
  const { status, text, body } = await service.ask('POST /v1/revocations', {
    json: what,
    token: await service.callerToken('gitlab'),
  })
  expect(status, text).toBe(200)
  return (body as { revocation: { id: string } }).revocation.id
}

async function lift(id: string): Promise<void> {
  const token = await service.callerToken('gitlab')
  const { status } = await service.ask(`DELETE /v1/revocations/${id}`, { token })
  expect(status).toBe(200)
}

describe('a tenant that is revoked', () => {
  test('has no token left after a minute, others keep theirs, and it has when it is let go on', async () => {
    await start()
    const [first, others] = [await agent.askFor(orders), await agent.askFor(northwind)]
    expect([first.status, others.status]).toEqual([200, 200])
    const id = await revoke({ tenant: cast.fabrikam })
    emulator.clock.shift(61)
    const refused = await agent.askFor(orders)
    expect([refused.status, refused.body['access_token']]).toEqual([403, undefined])
    expect(refused.body['message']).toContain('(revoked)')
    // It is not kept for when the service is away.
    const restore = wire.interrupt('cut')
    expect((await agent.askFor(orders)).status).toBe(503)
    expect((await agent.askFor(northwind)).body['access_token']).toBe(others.body['access_token'])
    restore()
    await lift(id)
    expect((await agent.askFor(orders)).status).toBe(200)
  })

  test('has no token left after a pause either, however long nobody asked', async () => {
    await start()
    expect((await agent.askFor(orders)).status).toBe(200)
    await revoke({ tenant: cast.fabrikam })
    emulator.clock.shift(1500)
    const answers = await Promise.all(Array.from({ length: 20 }, () => agent.askFor(orders)))
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([403]))
  })

  test('has no assertion in the token file any more', async () => {
    const identity = { tenant: cast.fabrikam, clientId: cast.deployClientId }
    const tokenFile = { file: './identity-token', application: 'deploy', ...identity }
    await start({ shapes: { tokenFile } })
    const file = join(agent.folder, 'identity-token')
    expect(existsSync(file)).toBe(true)
    const id = await revoke({ tenant: cast.fabrikam })
    emulator.clock.shift(111)
    await expect.poll(() => existsSync(file)).toBe(false)
    await lift(id)
    await expect.poll(() => existsSync(file)).toBe(true)
  })
})

describe('a token that was not taken back', () => {
  test('is asked about once a minute, however many programs want it, and costs no signature', async () => {
    await start()
    const { body } = await agent.askFor(orders)
    service.newEntries()
    emulator.clock.shift(61)
    const answers = await Promise.all(Array.from({ length: 30 }, () => agent.askFor(orders)))
    expect(answers.map((one) => one.body['access_token'])).toEqual(
      Array<unknown>(30).fill(body['access_token']),
    )
    const kinds = service.newEntries().map(({ kind }) => kind)
    expect(kinds.filter((kind) => kind === 'token.issued')).toHaveLength(1)
    expect(kinds).not.toContain('signature.begun')
  })

  test('is given while the service hangs, within seconds, and then at once', async () => {
    await start()
    const token = (await agent.askFor(orders)).body['access_token']
    emulator.clock.shift(61)
    const restore = wire.interrupt('stall')
    expect((await agent.askFor(orders)).body['access_token']).toBe(token)
    restore()
  })

  test("is given while the workload's own proof is over: nobody has taken anything back", async () => {
    await start()
    expect((await agent.askFor(orders)).status).toBe(200)
    writeFileSync(agent.ownTokenFile, await service.callerToken('github', { wrong: 'expired' }))
    emulator.clock.shift(61)
    const { status } = await agent.askFor(orders)
    expect([status, ...agent.failures]).toEqual([200, 'SERVICE_CALLER_REFUSED'])
  })
})

test('a clock that is set back does not make a token last longer to who is told its end', async () => {
  await start()
  expect((await agent.askFor(orders)).status).toBe(200)
  clock.jump(-3000)
  const { body } = await agent.askFor(orders)
  const leftSeconds = Number(body['expires_on']) - service.clock.nowSeconds()
  expect(leftSeconds).toBeLessThanOrEqual(3600)
  expect(leftSeconds).toBeGreaterThan(3000)
})
