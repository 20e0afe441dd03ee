import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { signing, strike } from '../support/faults.ts'
import { expectNothingPrivate, expectProblem } from '../support/problems.ts'
import {
  cast,
  defaultGrants,
  deployAsk,
  type GrantFile,
  ordersAsk,
  startTestService,
  type TestService,
} from '../support/test-service.ts'
import { lineOf } from '../support/turned-away.ts'

/** One noisy caller takes nothing from the others. */

const shared: GrantFile = {
  grant: 'shared',
  caller: { issuer: 'gitlab', claims: { project_id: '20' } },
  may: [{ application: 'events', tenant: cast.fabrikam, scopes: [cast.orders] }],
  limits: { perMinute: 10, perCallerPerMinute: 2 },
}

let service: TestService
beforeAll(async () => {
  service = await startTestService({
    configuration: (file) => ({
      ...file,
      listen: { ...file.listen, maxConnections: 100, maxRequestsPerCaller: 2 },
    }),
    grants: [...defaultGrants, shared],
  })
})
afterAll(() => service.stop())

const job = (sub: string) => service.callerToken('gitlab', { claims: { sub } })
const orders = (token: string) => service.ask('POST /v1/token', { token, json: ordersAsk })

describe('a caller that asks too often', () => {
  test('is told when to come again, by whichever token it asks, and others of its grant are served', async () => {
    const [noisy, again, quiet] = await Promise.all([job('noisy'), job('noisy'), job('quiet')])
    expect((await orders(noisy)).status).toBe(200)
    expect((await orders(again)).status).toBe(200)
    const beyond = await orders(noisy)
    const { retryAfterSeconds = 0 } = beyond.body as { retryAfterSeconds?: number }
    expect(retryAfterSeconds).toBeGreaterThan(0)
    expect(retryAfterSeconds).toBeLessThanOrEqual(61)
    expectProblem(beyond, {
      status: 429,
      code: 'limit_reached',
      title: 'The limit of the grant is reached',
      detail: 'Wait, and keep what you were given for as long as it lives.',
      retryAfterSeconds,
    })
    for (let i = 0; i < 20; i += 1) await orders(noisy)
    expect((await orders(quiet)).status).toBe(200)
    service.emulator.clock.shift(retryAfterSeconds)
    expect((await orders(noisy)).status).toBe(200)
  })
})

describe('a caller that asks for too much at one time', () => {
  test('is told so at once, while another is served, and is served when it has less under way', async () => {
    const token = await service.callerToken('github', { claims: { sub: 'noisy-job' } })
    strike(service.emulator, { ...signing, kind: 'delay', delayMs: 1000, times: 2 })
    const assertion = () => service.ask('POST /v1/assertion', { token, json: deployAsk })
    const underWay = [assertion(), assertion()]
    await expect.poll(() => service.service.underWay.count).toBe(2)

    const beyond = await assertion()
    expectProblem(beyond, {
      status: 429,
      code: 'too_many_requests',
      title: 'Too many of your requests are under way',
      detail: 'Ask for less at once, and keep what you are given for as long as it lives.',
      retryAfterSeconds: 1,
    })
    expectNothingPrivate(beyond, service, { token, values: [cast.fabrikam] })
    expect(lineOf(service, beyond)).toMatchObject({ reason: 'too_many_requests' })
    expect((await orders(await job('another'))).status).toBe(200)

    const answers = await Promise.all(underWay)
    expect(answers.map(({ status }) => status)).toEqual([200, 200])
    expect((await assertion()).status).toBe(200)
  })
})
