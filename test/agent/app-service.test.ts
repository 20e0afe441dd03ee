import { decodeJwt } from 'jose'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { startTestAgent, type TestAgent } from '../support/test-agent.ts'
import { cast, startTestService, type TestService } from '../support/test-service.ts'

let service: TestService
let agent: TestAgent

const orders = 'https://orders.example'
const path = (version: string, more = '') => `GET /msi/token?api-version=${version}${more}`
const secret = () => agent.agent.variables['IDENTITY_HEADER'] ?? ''

beforeAll(async () => {
  service = await startTestService()
})
afterAll(() => service.stop())

beforeEach(async () => {
  agent = await startTestAgent({
    origin: service.origin,
    clock: service.clock,
    ownToken: await service.callerToken('fabrikam-orders'),
  })
  return () => agent.stop()
})

describe('the endpoint of App Service', () => {
  test('gives a token of the application, tenant and scope that the file names', async () => {
    const before = service.clock.nowSeconds()
    const { status, headers, body } = await agent.askFor(orders)
    const { access_token: token, ...rest } = body
    expect(status).toBe(200)
    expect(headers['cache-control']).toBe('no-store')
    expect(decodeJwt(String(token))).toMatchObject({
      aud: orders,
      tid: cast.fabrikam,
      appid: cast.eventsClientId,
    })
    expect(rest).toEqual({
      expires_on: expect.stringMatching(/^\d{10}$/) as string,
      resource: orders,
      token_type: 'Bearer',
    })
    expect(Number(rest['expires_on'])).toBeGreaterThan(before + 3000)
  })

  test('repeats the resource as it was asked for, and knows it with a slash behind it', async () => {
    const { status, body } = await agent.askFor(`${orders}/`)
    expect({ status, resource: body['resource'] }).toEqual({ status: 200, resource: `${orders}/` })
  })

  test('gives the older version its date as text', async () => {
    const answer = await agent.ask(path('2017-09-01', `&resource=${orders}`), { secret: secret() })
    expect(answer.status).toBe(200)
    const text = String(answer.body['expires_on'])
    expect(text).toMatch(/^\d\d\/\d\d\/\d{4} \d\d:\d\d:\d\d \+00:00$/)
    const { exp = 0 } = decodeJwt(String(answer.body['access_token']))
    expect(Math.abs(Date.parse(text) / 1000 - exp)).toBeLessThan(5)
  })

  test('tells whoever does not show the secret of its version nothing', async () => {
    service.newEntries()
    const asked = path('2019-08-01', `&resource=${orders}`)
    const older = path('2017-09-01', `&resource=${orders}`)
    const answers = [
      await agent.ask(asked),
      await agent.ask(asked, { 'x-identity-header': secret().toLowerCase() }),
      await agent.ask(asked, { 'x-identity-header': '' }),
      await agent.ask(asked, { 'x-identity-header': [secret(), secret()] }),
      await agent.ask(asked, { secret: secret() }),
      await agent.ask(older, { 'x-identity-header': secret() }),
      await agent.ask(path('2020-01-01'), { 'x-identity-header': 'guess' }),
    ]
    for (const { status, body } of answers) {
      expect(status).toBe(401)
      expect(body).toEqual({
        statusCode: 401,
        message: 'The secret of the endpoint is missing or wrong.',
        correlationId: expect.any(String) as string,
      })
    }
    expect(service.newEntries()).toEqual([])
  })

  test.for([
    [path('2018-02-01', `&resource=${orders}`), 400, 'api-version'],
    [`GET /msi/token?resource=${orders}`, 400, 'api-version'],
    [path('2019-08-01'), 400, 'resource parameter'],
    [path('2019-08-01', '&resource='), 400, 'resource parameter'],
    [path('2019-08-01', `&resource=${orders}&resource=https://vault.azure.net`), 400, 'resource'],
    [path('2019-08-01', '&resource=https://graph.microsoft.com'), 400, 'none of those'],
    [path('2019-08-01', '&resource=//nothing'), 400, 'none of those'],
    [path('2019-08-01', `&resource=${orders}&client_id=${cast.eventsClientId}`), 400, 'Identity'],
    [path('2019-08-01', `&resource=${orders}&mi_res_id=/subscriptions/1`), 400, 'Identity'],
    [path('2019-08-01', `&resource=${orders}&object_id=${cast.eventsClientId}`), 400, 'Identity'],
    [`POST /msi/token?api-version=2019-08-01&resource=${orders}`, 405, 'GET'],
  ] as const)('answers %s with %i', async ([request, status, words]) => {
    const answer = await agent.ask(request, { 'x-identity-header': secret() })
    expect(answer.status).toBe(status)
    expect(answer.body).toEqual({
      statusCode: status,
      message: expect.stringContaining(words) as string,
      correlationId: expect.any(String) as string,
    })
  })

  test('gives an identity that the file names for the resource to who names it, and says so', async () => {
    const resource = 'https://northwind.orders.example'
    const named = await agent.askFor(resource, `&client_id=${cast.eventsClientId}`)
    expect(decodeJwt(String(named.body['access_token']))).toMatchObject({ tid: cast.northwind })
    expect(named.body['client_id']).toBe(cast.eventsClientId)
    const other = await agent.askFor(resource, `&client_id=${cast.deployClientId}`)
    expect(other.status).toBe(400)
  })
})
