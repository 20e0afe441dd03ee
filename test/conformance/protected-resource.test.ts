import { setTimeout as delay } from 'node:timers/promises'
import { createRemoteJWKSet, decodeJwt, jwtVerify } from 'jose'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { faultSchema } from '../../src/emulator/faults.ts'
import { trustByDefault } from '../support/default-trust.ts'
import { fabrikam, oneVaultWorld } from '../support/emulated-entra.ts'
import { startTestEmulator, type TestEmulator } from '../support/emulator.ts'

let emulator: TestEmulator

beforeAll(async () => {
  emulator = await startTestEmulator({ world: oneVaultWorld })
  trustByDefault(emulator.ca)
})
afterAll(() => emulator.stop())

const ordersToken = () => emulator.token('fabrikam-orders', 'https://orders.example')

const getOrders = (token: string) =>
  fetch(emulator.endpoints.sampleResource, { headers: { authorization: `Bearer ${token}` } })

test('jose validates an access token through the published keys', async () => {
  const { authority } = emulator.endpoints
  const metadata = (await (
    await fetch(`${authority}/${fabrikam}/v2.0/.well-known/openid-configuration`)
  ).json()) as { jwks_uri: string }
  const keys = createRemoteJWKSet(new URL(metadata.jwks_uri))
  const token = await ordersToken()
  const expected = { audience: 'https://orders.example', issuer: `${authority}/${fabrikam}/` }
  const { payload } = await jwtVerify(token, keys, { ...expected, algorithms: ['RS256'] })
  expect(payload['tid']).toBe(fabrikam)
  await expect(jwtVerify(token, keys, { audience: 'https://vault.azure.net' })).rejects.toThrow(
    'unexpected "aud" claim value',
  )
})

test('the sample resource tells tenant and application of a token that is for it', async () => {
  const token = await ordersToken()
  const response = await getOrders(token)
  expect(response.status).toBe(200)
  expect(await response.json()).toMatchObject({
    askedBy: { tenant: fabrikam, application: decodeJwt(token)['appid'] },
  })
})

test('the sample resource refuses a token for somebody else, and says where to get one', async () => {
  const response = await getOrders(await emulator.token('countersign'))
  expect(response.status).toBe(401)
  expect(response.headers.get('www-authenticate')).toContain(
    `authorization_uri="${emulator.endpoints.authority}/common/oauth2/authorize"`,
  )
})

test('a rotated key is found without a restart', async () => {
  await getOrders(await ordersToken())
  await emulator.control('POST /entra/keys/rotate')
  // Longer than the resource waits between two looks for keys.
  await delay(1100)
  expect((await getOrders(await ordersToken())).status).toBe(200)
})

test('while the keys are out of reach the resource says so instead of no', async () => {
  await emulator.control('POST /entra/keys/rotate')
  await delay(1100)
  emulator.faults.add(faultSchema.parse({ at: 'jwks', kind: 'server-error' }))
  const token = await ordersToken()
  expect((await getOrders(token)).status).toBe(503)
  expect((await getOrders(token)).status).toBe(200)
})
