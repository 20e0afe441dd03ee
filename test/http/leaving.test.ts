import { request } from 'undici'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { exchanging, holdBack, signing, strike } from '../support/faults.ts'
import { cast, ordersAsk, startTestService, type TestService } from '../support/test-service.ts'

/** Callers that hang up while their token is under way. */

let service: TestService
let token: string

beforeAll(async () => {
  service = await startTestService()
  token = await service.callerToken('fabrikam-orders')
})
afterAll(() => service.stop())

/** Asks, and waits until it is told to hang up. */
function askUntil(json: object) {
  const leaving = new AbortController()
  const asking = request(`${service.origin}/v1/token`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify(json),
    signal: leaving.signal,
  })
  const refused = expect(asking).rejects.toThrow()
  return {
    hangUp: () => {
      leaving.abort()
      return refused
    },
  }
}

/** Until the ledger has it: the service learns of a hang-up when it does. */
async function untilRecorded(kind: string, count: number) {
  const found = () => service.entries().filter((entry) => entry.kind === kind)
  await expect.poll(() => found().length).toBeGreaterThanOrEqual(count)
  return found()
}

/** Of the cache; whoever finds nothing there waits for a token from then on. */
const misses = async () => {
  const { text } = await service.ask('GET /metrics')
  return Number(/^countersign_token_cache_lookups_total\{outcome="miss"\} (\d+)$/m.exec(text)?.[1])
}

describe('a caller that hangs up', () => {
  test('leaves a token for the next, and an entry that says so', async () => {
    const held = holdBack(service.emulator, exchanging)
    const { hangUp } = askUntil(ordersAsk)
    await held.reached()
    await hangUp()

    const [failed] = await untilRecorded('request.failed', 1)
    held.letGo()
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
    const before = await misses()
    const held = holdBack(service.emulator, signing)
    const leader = askUntil(json)
    await held.reached()
    const waiting = service.ask('POST /v1/token', { token, json })
    const follower = askUntil(json)
    await expect.poll(misses).toBe(before + 3)
    await Promise.all([leader.hangUp(), follower.hangUp()])

    const gone = (await untilRecorded('request.failed', 3)).slice(1)
    held.letGo()
    expect((await waiting).status).toBe(200)
    expect(gone).toMatchObject([{ code: 'TOKEN_CALLER_GONE' }, { code: 'TOKEN_CALLER_GONE' }])
    expect(service.vaultRecords()).toHaveLength(2)
  })

  test('and whose token fails then: the log says why, and nobody calls it an error of ours', async () => {
    const held = holdBack(service.emulator, signing)
    const { hangUp } = askUntil({
      application: 'deploy',
      tenant: cast.northwind,
      scope: cast.eventHubs,
    })
    await held.reached()
    await hangUp()
    await untilRecorded('request.failed', 4)
    held.letGo()
    strike(service.emulator, { ...exchanging, kind: 'server-error' })
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
