import { expect, test } from 'vitest'
import { createResourceManager } from '../../../../src/emulator/resource-manager/resource-manager.ts'
import type { WorldResource } from '../../../../src/emulator/world.ts'
import {
  call,
  contoso,
  createTestEntra,
  defaultWorld,
  deploy,
  events,
  fabrikam,
  northwind,
  origin,
} from '../../../support/emulated-entra.ts'
import { required } from '../../../support/required.ts'

const subscription = 'fab50000-0000-4000-8000-000000000002'
const path = `/subscriptions/${subscription}/resources?api-version=2021-04-01`

const resourceNamed = (uri: string): WorldResource =>
  required(defaultWorld.resources.find(({ uris }) => uris.includes(uri)))
const management = resourceNamed('https://management.azure.com')

async function createTestResourceManager() {
  const { entra, clock } = await createTestEntra()
  const service = createResourceManager({
    origin: 'https://127.0.0.1:8445',
    authorityOrigin: origin,
    accessTokens: entra.accessTokens,
    world: defaultWorld,
  })
  const tokenOf = (tenantId: string, objectId: string, resource = management) =>
    entra.accessTokens.issue({ tenantId, clientId: events, objectId }, resource)
  const ask = (target: string, token?: string) =>
    call(service, 'GET', target, {
      headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
    })
  return { ask, tokenOf, service, clock }
}

/** Of the application in the tenant. */
const eventsIn = {
  fabrikam: '11111111-0000-4000-8000-0000000000b1',
  northwind: '11111111-0000-4000-8000-0000000000b2',
}

test('a reader of the subscription lists its resources, by the path in any case', async () => {
  const { ask, tokenOf } = await createTestResourceManager()
  const token = await tokenOf(fabrikam, eventsIn.fabrikam)
  const { status, json } = await ask(path.replace('subscriptions', 'Subscriptions'), token)
  expect(status).toBe(200)
  expect(json['value']).toEqual([
    expect.objectContaining({ name: 'orders', type: 'Microsoft.EventHub/namespaces' }),
    expect.objectContaining({
      id: `/subscriptions/${subscription}/resourceGroups/emulated/providers/Microsoft.KeyVault/vaults/fabrikam-settings`,
    }),
  ])
})

test('subscriptions are listed to who may read them, and to others none', async () => {
  const { ask, tokenOf } = await createTestResourceManager()
  const listed = '/subscriptions?api-version=2022-12-01'
  const { json } = await ask(listed, await tokenOf(fabrikam, eventsIn.fabrikam))
  expect(json['value']).toMatchObject([{ subscriptionId: subscription, tenantId: fabrikam }])
  const elsewhere = await tokenOf(northwind, eventsIn.northwind)
  expect(await ask(listed, elsewhere)).toMatchObject({ status: 200, json: { value: [] } })
})

test('where a client of an unknown cloud learns of the authority needs no token', async () => {
  const { ask } = await createTestResourceManager()
  expect(await ask('/metadata/endpoints?api-version=2022-09-01')).toMatchObject({
    status: 200,
    json: { authentication: { loginEndpoint: origin } },
  })
})

type Tokens = Awaited<ReturnType<typeof createTestResourceManager>>['tokenOf']

test.each<[string, number, string, (tokenOf: Tokens) => Promise<string>]>([
  [
    'for another resource',
    401,
    'InvalidAuthenticationTokenAudience',
    (tokenOf) => tokenOf(fabrikam, eventsIn.fabrikam, resourceNamed('https://vault.azure.net')),
  ],
  [
    'of another tenant',
    401,
    'InvalidAuthenticationTokenTenant',
    (tokenOf) => tokenOf(northwind, eventsIn.fabrikam),
  ],
  [
    'of somebody without a role',
    403,
    'AuthorizationFailed',
    (tokenOf) => tokenOf(fabrikam, contoso),
  ],
  ['that is none', 401, 'InvalidAuthenticationToken', () => Promise.resolve('a.b.c')],
])('a token %s lists nothing', async (_, status, code, token) => {
  const { ask, tokenOf } = await createTestResourceManager()
  expect(await ask(path, await token(tokenOf))).toMatchObject({ status, json: { error: { code } } })
})

test('nothing is listed without a token, nor with one whose time is over', async () => {
  const { ask, tokenOf, clock } = await createTestResourceManager()
  const { status, headers } = await ask(path)
  expect(status).toBe(401)
  expect(headers['www-authenticate']).toContain(`Bearer authorization_uri="${origin}/"`)
  const token = await tokenOf(fabrikam, eventsIn.fabrikam)
  clock.shift(3600)
  expect(await ask(path, token)).toMatchObject({
    status: 401,
    json: { error: { code: 'ExpiredAuthenticationToken' } },
  })
})

test.each([
  ['GET', `/subscriptions/${subscription}/resources`, 400],
  ['GET', `/subscriptions/${deploy}/resources?api-version=2021-04-01`, 404],
  ['GET', `/subscriptions/${subscription}/providers?api-version=2021-04-01`, 404],
  ['PUT', path, 405],
])('%s %s is refused', async (method, target, status) => {
  const { service, tokenOf } = await createTestResourceManager()
  const headers = { authorization: `Bearer ${await tokenOf(fabrikam, eventsIn.fabrikam)}` }
  expect(await call(service, method, target, { headers })).toMatchObject({ status })
})
