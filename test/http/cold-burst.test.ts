import { setTimeout as delay } from 'node:timers/promises'
import { createRemoteJWKSet, jwtVerify } from 'jose'
import { Agent } from 'undici'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { sha256Base64url } from '../../src/base/sha256.ts'
import { exchanging, signing, strike } from '../support/faults.ts'
import { required } from '../support/required.ts'
import { cast, ordersAsk, startTestService, type TestService } from '../support/test-service.ts'

/** Ten thousand callers of one tenant while nothing is cached, all of them waiting at one moment. */

const callers = 10_000
const distinctTokens = 50
/** With pipelining, a hundred sockets hold all of them. */
const connections = 100

let service: TestService
let agent: Agent

beforeAll(async () => {
  service = await startTestService()
  agent = new Agent({ connections, pipelining: callers / connections })
})
afterAll(async () => {
  await agent.close()
  await service.stop()
})

interface TokenAnswer {
  readonly access_token: string
  readonly expires_in: number
  readonly attempt: string
}

async function ask(token: string): Promise<TokenAnswer> {
  const { statusCode, body } = await agent.request({
    origin: service.origin,
    path: '/v1/token',
    method: 'POST',
    // To undici a POST may not be pipelined unless told.
    idempotent: true,
    blocking: false,
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify(ordersAsk),
  })
  expect(statusCode).toBe(200)
  return (await body.json()) as TokenAnswer
}

describe('10,000 concurrent cold callers of one tenant', () => {
  let answers: readonly TokenAnswer[]

  beforeAll(async () => {
    const tokens = await Promise.all(
      Array.from({ length: distinctTokens }, (_, number) =>
        service.callerToken('github', { claims: { sub: `job-${number}` } }),
      ),
    )
    // Vault and Entra take as long as they may, or until all of them are there.
    strike(service.emulator, { ...signing, kind: 'delay', delayMs: 8000 })
    strike(service.emulator, { ...exchanging, kind: 'delay', delayMs: 8000 })
    const asked = Promise.all(
      Array.from({ length: callers }, (_, number) =>
        ask(required(tokens[number % distinctTokens])),
      ),
    )
    const waiting = `countersign_token_cache_lookups_total{outcome="miss"} ${callers}\n`
    const areThere = async () => (await service.ask('GET /metrics')).text.includes(waiting)
    while (!(await areThere())) await Promise.race([delay(200), asked])
    service.emulator.faults.clear()
    answers = await asked
  })

  test('have all waited: none of them was served from the cache', async () => {
    const { text } = await service.ask('GET /metrics')

    const issued = text.match(/^countersign_tokens_issued_total\{.*$/gm)
    expect(issued).toEqual([`countersign_tokens_issued_total{source="exchange"} ${callers}`])
  })

  test('cost one signature and one exchange', () => {
    expect(
      service
        .vaultRecords()
        .map(({ operationName, properties }) => [operationName, properties.httpStatusCode]),
    ).toEqual([['KeySign', 200]])
    expect(service.exchanges().map(({ outcome }) => outcome.kind)).toEqual(['issued'])
  })

  test('all get the token, and it is valid', async () => {
    expect(answers).toHaveLength(callers)
    const [token, ...others] = new Set(answers.map((answer) => answer.access_token))
    expect(others).toEqual([])
    const keys = createRemoteJWKSet(
      new URL('/common/discovery/v2.0/keys', service.emulator.endpoints.authority),
    )
    const { payload } = await jwtVerify(required(token), keys, {
      audience: 'https://orders.example',
    })
    expect(payload['tid']).toBe(cast.fabrikam)
    expect(Math.min(...answers.map(({ expires_in }) => expires_in))).toBeGreaterThan(3000)
  })

  test('leave an entry each, that names the one attempt which obtained the token', () => {
    const entries = service.entries()
    const issued = entries.filter((entry) => entry.kind === 'token.issued')
    expect(issued.map(({ attempt }) => attempt).toSorted()).toEqual(
      answers.map(({ attempt }) => attempt).toSorted(),
    )
    expect(new Set(issued.map(({ attempt }) => attempt)).size).toBe(callers)
    expect(new Set(issued.map(({ caller }) => caller.tokenSha256)).size).toBe(distinctTokens)

    const exchanged = entries.filter((entry) => entry.kind === 'exchange.succeeded')
    expect(exchanged).toHaveLength(1)
    const [{ attempt, tokenSha256 }] = exchanged as [(typeof exchanged)[number]]
    expect(tokenSha256).toBe(sha256Base64url(required(answers[0]).access_token))
    expect(new Set(issued.map((entry) => entry.obtainedBy))).toEqual(new Set([attempt]))
    expect(new Set(issued.map((entry) => entry.tokenSha256))).toEqual(new Set([tokenSha256]))
    expect(entries.filter(({ kind }) => kind === 'request.granted')).toMatchObject([{ attempt }])
  })
})
