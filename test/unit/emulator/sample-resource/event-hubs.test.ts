import { createLocalJWKSet } from 'jose'
import { expect, test } from 'vitest'
import {
  type AuthorityKeys,
  KeysUnreachableError,
} from '../../../../src/emulator/sample-resource/authority-keys.ts'
import { createEventHubs } from '../../../../src/emulator/sample-resource/event-hubs.ts'
import {
  call,
  createTestEntra,
  defaultWorld,
  events,
  fabrikam,
  northwind,
  origin,
} from '../../../support/emulated-entra.ts'
import { required } from '../../../support/required.ts'

async function createTestEventHubs(get?: () => Promise<never>) {
  const { entra, clock } = await createTestEntra()
  const published = createLocalJWKSet(entra.accessTokens.jwks())
  const service = createEventHubs({
    authorityOrigin: origin,
    authorityKeys: { get: (get ?? published) as AuthorityKeys['get'] },
    namespaces: new Map([
      ['fabrikam', fabrikam],
      ['northwind', northwind],
    ]),
    clock,
  })
  return async (namespace: string, tenantId: string, uri = 'https://eventhubs.azure.net') => {
    const resource = required(defaultWorld.resources.find(({ uris }) => uris.includes(uri)))
    const subject = { tenantId, clientId: events, objectId: events }
    const token = await entra.accessTokens.issue(subject, resource)
    const headers = { authorization: `Bearer ${token}` }
    return (await call(service, 'POST', `/${namespace}/orders/messages`, { headers })).status
  }
}

test('a namespace takes events with a token of its tenant', async () => {
  const send = await createTestEventHubs()
  expect(await send('fabrikam', fabrikam)).toBe(201)
  expect(await send('northwind', northwind)).toBe(201)
})

test('and with no other', async () => {
  const send = await createTestEventHubs()
  expect(await send('fabrikam', northwind)).toBe(401)
  expect(await send('fabrikam', fabrikam, 'https://orders.example')).toBe(401)
  expect(await send('contoso', fabrikam)).toBe(404)
})

test('without keys it says that it cannot tell, instead of no', async () => {
  const send = await createTestEventHubs(() => Promise.reject(new KeysUnreachableError()))
  expect(await send('fabrikam', fabrikam)).toBe(503)
})
