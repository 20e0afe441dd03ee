import { setTimeout as delay } from 'node:timers/promises'
import { request } from 'undici'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { exchanging, signing, strike } from '../support/faults.ts'
import { cast, ordersAsk, startTestService, type TestService } from '../support/test-service.ts'

/** Callers that hang up while their token is under way. */

let service: TestService
let token: string

beforeAll(async () => {
  service = await startTestService()
  token = await service.callerToken('fabrikam-orders')
})
afterAll(() => service.stop())

const hangUp = async (json: object, afterMs: number) => {
  const asking = request(`${service.origin}/v1/token`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify(json),
    signal: AbortSignal.timeout(afterMs),
  })
  await expect(asking).rejects.toThrow()
}

/** Until the ledger has it: the service learns of a hang-up when it does. */
async function untilRecorded(kind: string, count: number) {
  const found = () => service.entries().filter((entry) => entry.kind === kind)
  for (let tries = 0; found().length < count && tries < 200; tries += 1) await delay(20)
  return found()
}

describe('a caller that hangs up', () => {
  test('leaves a token for the next, and an entry that says so', async () => {
    strike(service.emulator, { ...exchanging, kind: 'delay', delayMs: 800 })
    await hangUp(ordersAsk, 300)

    const [failed] = await untilRecorded('request.failed', 1)
    expect(failed).toMatchObject({ code: 'TOKEN_CALLER_GONE', ...ordersAsk })
    const [exchanged] = await untilRecorded('exchange.succeeded', 1)
    const answer = await service.ask('POST /v1/token', { token, json: ordersAsk })
    expect(answer.status).toBe(200)
    expect(service.exchanges()).toHaveLength(1)
    const attempt = (failed as { attempt: string }).attempt
    expect(exchanged).toMatchObject({ attempt })
    expect(service.entries().at(-1)).toMatchObject({ kind: 'token.issued', obtainedBy: attempt })
  })

  test('takes nothing from those who wait for the same token, whoever leads', async () => {
    const json = { ...ordersAsk, tenant: cast.northwind }
    strike(service.emulator, { ...signing, kind: 'delay', delayMs: 1000 })
    const leader = hangUp(json, 300)
    await delay(100)
    const waiting = service.ask('POST /v1/token', { token, json })
    const follower = hangUp(json, 300)
    await Promise.all([leader, follower])

    expect((await waiting).status).toBe(200)
    const gone = (await untilRecorded('request.failed', 3)).slice(1)
    expect(gone).toMatchObject([{ code: 'TOKEN_CALLER_GONE' }, { code: 'TOKEN_CALLER_GONE' }])
    expect(service.vaultRecords()).toHaveLength(2)
  })

  test('and whose token fails then: the log says why, and nobody calls it an error of ours', async () => {
    strike(service.emulator, { ...signing, kind: 'delay', delayMs: 800 })
    strike(service.emulator, { ...exchanging, kind: 'server-error' })
    await hangUp({ application: 'deploy', tenant: cast.northwind, scope: cast.eventHubs }, 300)
    await untilRecorded('exchange.failed', 1)

    const lines = () => service.log().map((line) => JSON.parse(line) as { readonly msg: string })
    await expect
      .poll(() => lines())
      .toContainEqual(
        expect.objectContaining({ msg: 'no token was obtained', code: 'ENTRA_UNAVAILABLE' }),
      )
    expect(lines()).toContainEqual(
      expect.objectContaining({ msg: 'the caller has gone', level: 30 }),
    )
    expect(lines()).not.toContainEqual(expect.objectContaining({ msg: 'failed' }))
    expect((await service.ask('GET /metrics')).text).toMatch(/^countersign_callers_gone_total \d/m)
  })
})
