import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { World } from '../../src/emulator/world.ts'
import type { TestEmulator } from '../support/emulator.ts'
import {
  cast,
  deployAsk,
  ordersAsk,
  serviceWorld,
  startServiceEmulator,
  startTestService,
  type TestService,
} from '../support/test-service.ts'
import { type WorldClock, worldClock } from '../support/world-clock.ts'

/** Somebody sets the wall clock of the service's machine. Time does not pass for it, nor for the world. */

let emulator: TestEmulator
let clock: WorldClock
let service: TestService

/** Short-lived, because the token of the service's own identity has to outlive the whole file. */
const orderTokenSeconds = 600
const world: World = {
  ...serviceWorld,
  resources: serviceWorld.resources.map((resource) =>
    resource.uris.some((uri) => cast.orders.startsWith(uri))
      ? { ...resource, tokenSeconds: orderTokenSeconds }
      : resource,
  ),
}

beforeAll(async () => {
  emulator = await startServiceEmulator(world)
  // Its keys are valid from its start on: no wall clock is set back to before that.
  emulator.clock.shift(10_000)
})
afterAll(() => emulator.stop())
beforeEach(async () => {
  clock = worldClock(emulator.clock)
  service = await startTestService({
    emulator,
    clock,
    grants: [
      {
        grant: 'deploy-pipeline',
        caller: { issuer: 'github', claims: { repository_id: '123456' } },
        may: [
          { application: 'events', tenant: cast.fabrikam, scopes: [cast.orders] },
          { application: 'deploy', tenant: cast.fabrikam, assertion: { lifetimeSeconds: 300 } },
        ],
        limits: { perMinute: 3 },
      },
    ],
  })
})
afterEach(() => service.stop())

interface TokenAnswer {
  readonly access_token: string
  readonly expires_in: number
}

/** Fresh by the wall clock of the service, right or wrong. */
function callerToken(): Promise<string> {
  const now = clock.nowSeconds()
  return service.callerToken('github', { claims: { iat: now, nbf: now, exp: now + 300 } })
}

async function askToken(): Promise<TokenAnswer> {
  const answer = await service.ask('POST /v1/token', {
    token: await callerToken(),
    json: ordersAsk,
  })
  expect(answer).toMatchObject({ status: 200 })
  return answer.body as TokenAnswer
}

async function askAssertion(): Promise<number> {
  const json = deployAsk
  return (await service.ask('POST /v1/assertion', { token: await callerToken(), json })).status
}

const proved = () => service.entries().filter(({ kind }) => kind === 'signature.proved')

describe('a wall clock that jumps forward by 16 minutes', () => {
  test('publishes no assertion that others may still accept', async () => {
    expect(await askAssertion()).toBe(200)
    clock.jump(16 * 60)
    await service.service.proofs.publish()
    expect(proved()).toEqual([])
    expect(service.service.proofs.unproved).toBe(1)

    emulator.clock.shift(15 * 60)
    await service.service.proofs.publish()
    expect(proved()).toHaveLength(1)
  })
})

describe('a wall clock that jumps back by two hours', () => {
  test('lengthens the life of no token: it is served while it lives, and its end is told as it is', async () => {
    const first = await askToken()
    clock.jump(-7200)
    emulator.clock.shift(200)
    const again = await askToken()
    expect(again.access_token).toBe(first.access_token)
    expect(again.expires_in).toBeGreaterThan(300)
    expect(again.expires_in).toBeLessThanOrEqual(orderTokenSeconds - 200)

    emulator.clock.shift(101)
    const token = await callerToken()
    const late = await service.ask('POST /v1/token', { token, json: ordersAsk })
    // Entra is asked for another, and sees that the clock is wrong.
    expect(late).toMatchObject({ status: 502, body: { entra: { errorCodes: [700024] } } })
  })

  test('keeps the counts of strangers from nobody', async () => {
    await service.ask('POST /v1/token', { json: ordersAsk })
    clock.jump(-7200)
    await service.service.turnedAway.roll('ended-minutes')

    expect(service.entries().filter(({ kind }) => kind === 'service.turned-away')).toHaveLength(1)
  })
})

describe('a wall clock that jumps', () => {
  test.each([16 * 60, -7200])('by %d s: a grant has what it had', async (seconds) => {
    for (let time = 0; time < 3; time += 1) expect(await askAssertion()).toBe(200)
    clock.jump(seconds)
    expect(await askAssertion()).toBe(429)

    emulator.clock.shift(61)
    expect(await askAssertion()).toBe(200)
  })

  test('is said loudly, once, and counted', async () => {
    const jumps = async () =>
      /^countersign_clock_jumps_total (\d+)$/m.exec((await service.ask('GET /metrics')).text)?.[1]
    service.service.clockWatch.look()
    expect(await jumps()).toBe('0')

    clock.jump(-7200)
    service.service.clockWatch.look()
    service.service.clockWatch.look()
    expect(await jumps()).toBe('1')
    const lines = service.log().filter((line) => line.includes('jumpMs'))
    expect(lines).toHaveLength(1)
    const said = JSON.parse(lines[0] ?? '') as { level: number; jumpMs: number }
    expect(said.level).toBe(50)
    expect(Math.round(said.jumpMs / 1000)).toBe(-7200)
  })
})
