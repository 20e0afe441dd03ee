import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Dispatcher } from 'undici'
import { expectProblem } from '../support/problems.ts'
import { cast, deployAsk, ordersAsk, type TestService } from '../support/test-service.ts'
import { clientOrder } from '../support/tls-clients.ts'
import { startTlsService, type TlsService } from '../support/tls-service.ts'

/** Somebody with a client certificate in the browser, and pages that would like to use it. */

const holder = 'spiffe://fabrikam.example/billing/export'
let tls: TlsService
let service: TestService
/** Of the browser. */
let dispatcher: Dispatcher

beforeAll(async () => {
  tls = await startTlsService({
    grants: [
      {
        grant: 'by-certificate',
        caller: { issuer: 'edge', claims: { uri: holder } },
        may: [
          { application: 'events', tenant: cast.fabrikam, scopes: [cast.orders] },
          { application: 'deploy', tenant: cast.fabrikam, assertion: {} },
          { admin: 'revoke' },
          { audit: 'read' },
        ],
        limits: { perMinute: 1000 },
      },
    ],
  })
  service = tls.service
  const holders = await service.emulator.clients.issue(clientOrder({ names: [holder] }))
  dispatcher = tls.files.connections(holders)
})
afterAll(() => tls.stop())

const routes: readonly (readonly [route: string, json: object | undefined])[] = [
  ['POST /v1/token', ordersAsk],
  ['POST /v1/token?a=b', ordersAsk],
  ['POST /v1/assertion', deployAsk],
  [`GET /v1/assertion/deploy/${cast.fabrikam}`, undefined],
  ['GET /v1/revocations', undefined],
  ['GET /v1/entries', undefined],
  ['POST /v1/revocations', { tenant: cast.northwind }],
  ['DELETE /v1/revocations/0a0a0a0a-0000-4000-8000-00000000000f', undefined],
]

const ofOthers: readonly Readonly<Record<string, string>>[] = [
  { 'sec-fetch-site': 'cross-site' },
  { 'sec-fetch-site': 'same-site' },
  { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' },
  { 'sec-fetch-site': 'Cross-Site' },
  { 'sec-fetch-site': '' },
  { 'sec-fetch-site': 'same-origin, cross-site' },
  { 'sec-fetch-site': 'cross-site', origin: cast.publicUrl },
  { origin: 'https://page.example' },
  { origin: 'null' },
]

const ask = (route: string, json: object | undefined, headers: Record<string, string>) =>
  service.ask(route, { dispatcher, headers, ...(json === undefined ? {} : { json }) })

describe.each(routes)('%s', (route, json) => {
  test.each(ofOthers)('is refused to a page of another site: %o', async (headers) => {
    const [records, exchanges] = [service.vaultRecords().length, service.exchanges().length]
    service.newEntries()
    const answer = await ask(route, json, headers)

    expectProblem(answer, {
      status: 403,
      code: 'cross_site',
      title: 'A page of another site asks',
      detail: 'A page of another site has asked for this. Ask from a program, not from a page.',
    })
    expect(answer.headers).not.toHaveProperty('access-control-allow-origin')
    expect(service.newEntries()).toEqual([])
    expect(service.vaultRecords()).toHaveLength(records)
    expect(service.exchanges()).toHaveLength(exchanges)
  })

  test.each([
    {},
    { 'sec-fetch-mode': 'cors' },
    { 'sec-fetch-site': 'none', 'sec-fetch-mode': 'navigate' },
    { 'sec-fetch-site': 'same-origin', origin: cast.publicUrl },
  ])('is answered to a program and to a person: %o', async (headers) => {
    // The revocation of that id is none, and the tenant's is new each time.
    expect((await ask(route, json, headers)).status).toBe(route.startsWith('DELETE') ? 404 : 200)
  })
})

test('a browser that asks before it sends is told nothing that would let it', async () => {
  for (const [route] of routes) {
    const path = route.split(' ')[1] ?? ''
    const answer = await ask(`OPTIONS ${path}`, undefined, {
      origin: 'https://page.example',
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'authorization,content-type',
    })
    expect(answer.status).toBe(405)
    const allowed = Object.keys(answer.headers).filter((name) => name.startsWith('access-control'))
    expect(allowed).toEqual([])
  }
})
