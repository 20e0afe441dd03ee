import { createLocalJWKSet } from 'jose'
import { expect, test } from 'vitest'
import type { TokenSubject } from '../../../../src/emulator/entra/access-tokens.ts'
import {
  KeysUnreachableError,
  type AuthorityKeys,
} from '../../../../src/emulator/sample-resource/authority-keys.ts'
import { createSampleResource } from '../../../../src/emulator/sample-resource/sample-resource.ts'
import type { WorldResource } from '../../../../src/emulator/world.ts'
import {
  call,
  contoso,
  createTestEntra,
  events,
  fabrikam,
  origin,
} from '../../../support/emulated-entra.ts'

const audience = 'https://orders.example'
const subject: TokenSubject = { tenantId: fabrikam, clientId: events, objectId: contoso }
const resource: WorldResource = {
  uris: [audience],
  clientId: events,
  tenants: ['fabrikam'],
  tokenSeconds: 3599,
  accessTokenVersion: 1,
}

async function createTestResource(get?: () => Promise<never>) {
  const { entra, clock } = await createTestEntra()
  const published = createLocalJWKSet(entra.accessTokens.jwks())
  const service = createSampleResource({
    authorityOrigin: origin,
    authorityKeys: { get: (get ?? published) as AuthorityKeys['get'] },
    audience,
    tenantIds: [fabrikam],
    clock,
  })
  const getOrders = (authorization?: string) =>
    call(service, 'GET', '/orders', {
      headers: authorization === undefined ? {} : { authorization },
    })
  const issue = (whose: TokenSubject, what: WorldResource) => entra.accessTokens.issue(whose, what)
  return { getOrders, service, issue, clock }
}

test('a token for it, of a tenant of its own, opens the orders and is told apart', async () => {
  const { getOrders, issue } = await createTestResource()
  const answer = await getOrders(`Bearer ${await issue(subject, resource)}`)
  expect(answer).toMatchObject({
    status: 200,
    json: { askedBy: { tenant: fabrikam, application: events, servicePrincipal: contoso } },
  })
  expect(answer.json['orders']).toHaveLength(2)
})

test.each([
  ['for another resource', subject, { uris: ['https://vault.azure.net'] }],
  ['of another tenant', { ...subject, tenantId: contoso }, {}],
  ['for its client id instead of its URI', subject, { accessTokenVersion: 2 as const }],
])('a token %s is refused with a challenge', async (_, whose, changes) => {
  const { getOrders, issue } = await createTestResource()
  const answer = await getOrders(`Bearer ${await issue(whose, { ...resource, ...changes })}`)
  expect(answer.status).toBe(401)
  expect(answer.headers['www-authenticate']).toContain(
    `Bearer realm="", authorization_uri="${origin}/common/oauth2/authorize", error="invalid_token"`,
  )
})

test('no token, no bearer, and no JWT are refused alike', async () => {
  const { getOrders } = await createTestResource()
  for (const authorization of [undefined, 'Basic Zm9vOmJhcg==', 'Bearer x', 'Bearer a.b.c']) {
    expect((await getOrders(authorization)).status).toBe(401)
  }
})

test('a token is refused when its time is over', async () => {
  const { getOrders, issue, clock } = await createTestResource()
  const token = await issue(subject, resource)
  clock.shift(3600)
  expect((await getOrders(`Bearer ${token}`)).status).toBe(401)
})

test('without keys it says that it cannot tell, instead of no', async () => {
  const { getOrders, issue } = await createTestResource(() =>
    Promise.reject(new KeysUnreachableError()),
  )
  expect((await getOrders(`Bearer ${await issue(subject, resource)}`)).status).toBe(503)
})

test('there is nothing else', async () => {
  const { service } = await createTestResource()
  expect((await call(service, 'GET', '/')).status).toBe(404)
  expect((await call(service, 'POST', '/orders')).status).toBe(405)
})
