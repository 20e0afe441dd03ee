import { createRemoteJWKSet, decodeJwt, jwtVerify } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { sha256Base64url } from '../../src/base/sha256.ts'
import { cast, ordersAsk, startTestService, type TestService } from '../support/test-service.ts'

let service: TestService

beforeAll(async () => {
  service = await startTestService()
})
afterAll(() => service.stop())

interface TokenAnswer {
  readonly access_token: string
  readonly token_type: string
  readonly expires_in: number
  readonly attempt: string
}

async function tokenFor(token: string, json: object = ordersAsk): Promise<TokenAnswer> {
  const answer = await service.ask('POST /v1/token', { token, json })
  expect(answer.status, answer.text).toBe(200)
  return answer.body as TokenAnswer
}

describe('a granted caller', () => {
  test('gets a token of its tenant that the resource accepts', async () => {
    const answer = await tokenFor(await service.callerToken('fabrikam-orders'))

    expect(answer).toMatchObject({ token_type: 'Bearer' })
    expect(answer.expires_in).toBeGreaterThan(3500)
    // Counted from when it was asked for, so never more than it has.
    expect(answer.expires_in).toBeLessThanOrEqual(3599)
    const keys = createRemoteJWKSet(
      new URL('/common/discovery/v2.0/keys', service.emulator.endpoints.authority),
    )
    const { payload } = await jwtVerify(answer.access_token, keys, {
      audience: 'https://orders.example',
    })
    expect(payload).toMatchObject({ tid: cast.fabrikam, appid: cast.eventsClientId })
    const orders = await fetch(service.emulator.endpoints.sampleResource, {
      headers: { authorization: `Bearer ${answer.access_token}` },
    })
    expect(orders.status).toBe(200)
  })

  test('of another kind of issuer gets the same token, which was obtained once', async () => {
    const workload = await tokenFor(await service.callerToken('fabrikam-orders'))
    const signedBefore = service.vaultRecords().length
    const job = await tokenFor(await service.callerToken('github'))

    expect(job.access_token).toBe(workload.access_token)
    expect(job.attempt).not.toBe(workload.attempt)
    expect(service.vaultRecords()).toHaveLength(signedBefore)
  })

  test('may write the scope as some clients do, and is asked for one token all the same', async () => {
    const token = await service.callerToken('fabrikam-orders')
    const plain = await tokenFor(token)
    const folded = await tokenFor(token, {
      ...ordersAsk,
      scope: 'https://orders.example//.default',
    })

    expect(folded.access_token).toBe(plain.access_token)
  })

  test('may write the tenant in capitals', async () => {
    const token = await service.callerToken('fabrikam-orders')
    const plain = await tokenFor(token)
    const capitals = await tokenFor(token, { ...ordersAsk, tenant: cast.fabrikam.toUpperCase() })

    expect(capitals.access_token).toBe(plain.access_token)
  })

  test('gets tokens of two tenants that never stand in for one another', async () => {
    const token = await service.callerToken('fabrikam-orders')
    const fabrikam = await tokenFor(token)
    const northwind = await tokenFor(token, { ...ordersAsk, tenant: cast.northwind })

    expect(decodeJwt(fabrikam.access_token)['tid']).toBe(cast.fabrikam)
    expect(decodeJwt(northwind.access_token)['tid']).toBe(cast.northwind)
  })
})

describe('the ledger', () => {
  test('says of a token that was obtained: granted, begun, made, exchanged, issued', async () => {
    const token = await service.callerToken('fabrikam-orders')
    const json = { ...ordersAsk, scope: cast.eventHubs }
    // Nothing young is left of the tests before.
    service.emulator.clock.shift(60)
    service.newEntries()
    const recordsBefore = service.vaultRecords().length
    const { attempt, access_token } = await tokenFor(token, json)

    const entries = service.newEntries()
    expect(entries.map(({ kind }) => kind)).toEqual([
      'request.granted',
      'signature.begun',
      'signature.made',
      'exchange.succeeded',
      'token.issued',
    ])
    const [granted, begun, made, exchanged, issued] = entries
    const decision = {
      attempt,
      caller: {
        issuer: 'fabrikam',
        subject: cast.workloadObjectId,
        tokenSha256: sha256Base64url(token),
      },
      grant: 'fabrikam-orders',
      ...json,
    }
    expect(granted).toMatchObject(decision)
    expect(begun).toMatchObject({ attempt, purpose: 'exchange', algorithm: 'PS256' })
    const { signature } = begun as { signature: string }
    const [record] = service.vaultRecords().slice(recordsBefore)
    expect(made).toMatchObject({ signature, vaultRequestId: record?.correlationId })
    const exchange = service.exchanges().at(-1)
    const tokenSha256 = sha256Base64url(access_token)
    expect(exchanged).toMatchObject({
      signature,
      attempt,
      exchange: exchange?.clientRequestId,
      traceId: exchange?.traceId,
      uti: decodeJwt(access_token)['uti'],
      tokenSha256,
    })
    expect(issued).toMatchObject({ ...decision, obtainedBy: attempt, tokenSha256 })
  })

  test('says of a token from the cache one thing, with the attempt that had obtained it', async () => {
    const token = await service.callerToken('fabrikam-orders')
    const first = await tokenFor(token)
    service.newEntries()
    const again = await tokenFor(token)

    const [issued, ...more] = service.newEntries()
    expect(more).toEqual([])
    expect(issued).toMatchObject({ kind: 'token.issued', attempt: again.attempt })
    const { obtainedBy } = issued as { obtainedBy: string }
    expect(obtainedBy).not.toBe(again.attempt)
    expect(first.access_token).toBe(again.access_token)
    expect(service.entries()).toContainEqual(
      expect.objectContaining({ kind: 'exchange.succeeded', attempt: obtainedBy }),
    )
  })

  test('holds no token, and neither does the log', async () => {
    await tokenFor(await service.callerToken('github'))

    expect(JSON.stringify(service.entries())).not.toMatch(/eyJ[\w-]+\.eyJ/)
    expect(service.log().join('')).not.toMatch(/eyJ[\w-]+\.eyJ/)
  })
})

// Last, because it moves the world's time.
describe('a token that has less left than is promised', () => {
  test('is not served again', async () => {
    const token = await service.callerToken('fabrikam-orders')
    const old = await tokenFor(token)
    service.emulator.clock.shift(3599 - 300 + 1)
    const fresh = await tokenFor(await service.callerToken('fabrikam-orders'))

    expect(fresh.access_token).not.toBe(old.access_token)
    expect(fresh.expires_in).toBeGreaterThan(3500)
  })
})
