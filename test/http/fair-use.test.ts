import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { holdBack, signing } from '../support/faults.ts'
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

const incidentResponse: GrantFile = {
  grant: 'incident-response',
  caller: { issuer: 'cluster', claims: { sub: 'system:serviceaccount:orders:api' } },
  may: [
    { admin: 'revoke' },
    { application: 'events', tenant: cast.fabrikam, scopes: [cast.orders] },
    { application: 'deploy', tenant: cast.fabrikam, assertion: {} },
  ],
}

let service: TestService
beforeAll(async () => {
  service = await startTestService({
    configuration: (file) => ({
      ...file,
      listen: { ...file.listen, maxConnections: 100, maxRequestsPerCaller: 2 },
    }),
    grants: [...defaultGrants, shared, incidentResponse],
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
    const held = holdBack(service.emulator, signing, 2)
    const assertion = () => service.ask('POST /v1/assertion', { token, json: deployAsk })
    const underWay = [assertion(), assertion()]
    await held.reached(2)

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

    held.letGo()
    const answers = await Promise.all(underWay)
    expect(answers.map(({ status }) => status)).toEqual([200, 200])
    expect((await assertion()).status).toBe(200)
  })
})

describe('requests about revocations', () => {
  const admin = () =>
    service.callerToken('cluster', { claims: { sub: 'system:serviceaccount:orders:api' } })
  const list = (token: string) => service.ask('GET /v1/revocations', { token })
  const statusesOf = async (token: string) => {
    const answers = await Promise.all(Array.from({ length: 30 }, () => list(token)))
    return new Set(answers.map(({ status }) => status))
  }

  test('of one caller are as many as others may be', async () => {
    const token = await admin()
    expect(await statusesOf(token)).toEqual(new Set([200, 429]))
    expect((await list(token)).status).toBe(200)
  })

  test('are taken from whoever has all of its other requests under way', async () => {
    const token = await admin()
    const held = holdBack(service.emulator, signing, 2)
    const assertion = () => service.ask('POST /v1/assertion', { token, json: deployAsk })
    const underWay = [assertion(), assertion()]
    await held.reached(2)
    expect((await assertion()).status).toBe(429)
    const revoked = await service.ask('POST /v1/revocations', { token, json: { grant: 'other' } })
    expect(revoked.status).toBe(200)
    held.letGo()
    expect((await Promise.all(underWay)).map(({ status }) => status)).toEqual([200, 200])
  })

  test('of whoever may not ask leave the ledger alone', async () => {
    const { ledger } = service.service
    const appended = vi.spyOn(ledger, 'append')
    expect((await list(await job('curious'))).status).toBe(403)
    expect(appended).not.toHaveBeenCalled()
    expect((await list(await admin())).status).toBe(200)
    expect(appended).toHaveBeenCalledWith([])
    appended.mockRestore()
  })
})
