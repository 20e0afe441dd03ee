import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { TestEmulator } from '../support/emulator.ts'
import { strike } from '../support/faults.ts'
import { expectNothingPrivate, expectProblem, type ProblemWords } from '../support/problems.ts'
import { required } from '../support/required.ts'
import {
  type CallerName,
  cast,
  ordersAsk,
  startServiceEmulator,
  startTestService,
  type TestService,
} from '../support/test-service.ts'

/** Callers who may be who they say, while nobody can tell: their issuer's keys cannot be had. */

let emulator: TestEmulator
let service: TestService

beforeAll(async () => {
  emulator = await startServiceEmulator()
})
// Keys are remembered for minutes, so each test begins with a service that has none.
beforeEach(async () => {
  service = await startTestService({ emulator })
})
afterEach(async () => {
  emulator.faults.clear()
  await service.stop()
})
afterAll(() => emulator.stop())

const issuerUnavailable: ProblemWords = {
  status: 503,
  code: 'issuer_unavailable',
  title: 'The caller cannot be proven now',
  detail: "The keys of the caller token's issuer cannot be had at the moment. Try again later.",
  retryAfterSeconds: 5,
}

const askWith = (token: string) => service.ask('POST /v1/token', { token, json: ordersAsk })

interface Away {
  readonly caller: CallerName
  readonly at: 'issuer' | 'jwks'
  readonly kind: 'server-error' | 'throttle' | 'drop-before' | 'malformed'
  readonly code: string
}

const away: readonly Away[] = [
  { caller: 'github', at: 'issuer', kind: 'server-error', code: 'ISSUER_UNREACHABLE' },
  { caller: 'github', at: 'issuer', kind: 'drop-before', code: 'ISSUER_UNREACHABLE' },
  { caller: 'github', at: 'issuer', kind: 'malformed', code: 'ISSUER_MALFORMED' },
  { caller: 'fabrikam-orders', at: 'jwks', kind: 'server-error', code: 'ISSUER_UNREACHABLE' },
  { caller: 'fabrikam-orders', at: 'jwks', kind: 'throttle', code: 'ISSUER_UNREACHABLE' },
  { caller: 'fabrikam-orders', at: 'jwks', kind: 'malformed', code: 'ISSUER_MALFORMED' },
]

describe('a caller whose issuer is away', () => {
  test.each(away)('$caller, $kind: $code, until it is back', async ({ caller, at, kind, code }) => {
    const token = await service.callerToken(caller)
    service.newEntries()
    strike(emulator, { at, kind, times: 100 })
    const answer = await askWith(token)

    expectProblem(answer, issuerUnavailable)
    expectNothingPrivate(answer, service, { token, values: [cast.fabrikam, cast.orders] })
    expect(service.newEntries()).toEqual([])
    expect(service.vaultRecords()).toEqual([])
    const attempt = answer.headers['countersign-attempt']
    const lines = service.log().map((line) => JSON.parse(line) as { attempt?: unknown })
    expect(lines.find((line) => line.attempt === attempt)).toMatchObject({ msg: 'failed', code })

    await service.service.turnedAway.roll('every')
    expect(service.newEntries()).toMatchObject([
      { kind: 'service.turned-away', reason: code, count: 1 },
    ])

    emulator.faults.clear()
    emulator.clock.shift(issuerUnavailable.retryAfterSeconds ?? 0)
    expect((await askWith(token)).status).toBe(200)
  })

  test('is served by the keys that are known, and the operator is told', async () => {
    expect((await askWith(await service.callerToken('github'))).status).toBe(200)
    strike(emulator, { at: 'issuer', kind: 'server-error', times: 100 })
    emulator.clock.shift(10 * 60)
    const token = await service.callerToken('github')

    expect((await askWith(token)).status).toBe(200)
    expect(service.log().join('')).toContain('issuer is away')
    expect(service.log().join('')).not.toMatch(/eyJ[\w-]+\.eyJ/)
  })

  test('does not keep callers of other issuers from being served', async () => {
    strike(emulator, { at: 'issuer', kind: 'server-error', times: 100 })
    expect((await askWith(await service.callerToken('github'))).status).toBe(503)

    expect((await askWith(await service.callerToken('fabrikam-orders'))).status).toBe(200)
  })
})

describe('an issuer whose keys are at an address of its own', () => {
  const keysAt = (address: string) =>
    startTestService({
      emulator,
      configuration: (file) => ({
        ...file,
        issuers: {
          ...file.issuers,
          github: {
            kind: 'github',
            issuer: required(emulator.endpoints.issuers['github']),
            jwksUri: `https://${address}/keys`,
            require: { repository_owner_id: '987' },
          },
        },
      }),
    })

  test('is not asked there: the operator reads where it is and what would allow it, the caller nothing', async () => {
    await service.stop()
    service = await keysAt('10.98.76.54')
    const token = await service.callerToken('github')
    const answer = await askWith(token)

    expectProblem(answer, issuerUnavailable)
    expectNothingPrivate(answer, service, { token, values: ['10.98.76.54', 'privateAddress'] })
    const away = service
      .log()
      .map((line) => JSON.parse(line) as { msg: string; code?: string; err?: object })
      .find(({ msg }) => msg === 'issuer is away')
    expect(away).toMatchObject({ issuer: 'github', code: 'ISSUER_ADDRESS_REFUSED' })
    expect(JSON.stringify(away?.err)).toContain(
      '10.98.76.54 is no public address: set `privateAddress: accept` under the issuer if it belongs there',
    )
    expect((await askWith(await service.callerToken('fabrikam-orders'))).status).toBe(200)
  })

  test('is asked on loopback, where the configuration names it', async () => {
    await service.stop()
    // A port where nobody listens.
    service = await keysAt('127.0.0.1:9')
    expect((await askWith(await service.callerToken('github'))).status).toBe(503)
    expect(service.log().join('')).toContain('"code":"ISSUER_UNREACHABLE"')
  })
})

describe("an issuer's new key", () => {
  test('is learnt from the first token that it signed', async () => {
    expect((await askWith(await service.callerToken('github'))).status).toBe(200)
    await emulator.control('POST /issuers/github/keys/rotate', { previous: 'withdrawn' })

    expect((await askWith(await service.callerToken('github'))).status).toBe(200)
  })

  test('is not called unproven because strangers have invented keys, and is learnt a little later', async () => {
    expect((await askWith(await service.callerToken('github'))).status).toBe(200)
    const invented = () => service.callerToken('github', { wrong: 'unknown-key' })
    for (let time = 0; time < 5; time += 1) {
      expect((await askWith(await invented())).status).toBe(401)
    }
    await emulator.control('POST /issuers/github/keys/rotate', { previous: 'withdrawn' })
    const token = await service.callerToken('github')
    const answer = await askWith(token)

    const { retryAfterSeconds } = answer.body as { retryAfterSeconds: number }
    expect(retryAfterSeconds).toBeGreaterThan(0)
    expect(retryAfterSeconds).toBeLessThanOrEqual(10)
    expectProblem(answer, { ...issuerUnavailable, retryAfterSeconds })
    expectNothingPrivate(answer, service, { token })
    emulator.clock.shift(retryAfterSeconds)
    expect((await askWith(token)).status).toBe(200)
  })
})
