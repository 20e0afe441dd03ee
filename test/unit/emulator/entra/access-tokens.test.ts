import { decodeJwt, decodeProtectedHeader } from 'jose'
import { expect, test } from 'vitest'
import { createAccessTokens } from '../../../../src/emulator/entra/access-tokens.ts'
import { createEmulatorClock } from '../../../../src/emulator/emulator-clock.ts'
import { createSigningKeys } from '../../../../src/emulator/signing-keys.ts'
import type { WorldResource } from '../../../../src/emulator/world.ts'

const origin = 'https://localhost:8443'
const tenantId = 'fab00000-0000-4000-8000-000000000002'
const subject = {
  tenantId,
  clientId: '11111111-0000-4000-8000-000000000001',
  objectId: '11111111-0000-4000-8000-0000000000b1',
}
const orders: WorldResource = {
  uris: ['https://orders.example'],
  clientId: '33333333-0000-4000-8000-000000000001',
  tenants: ['fabrikam'],
  tokenSeconds: 3599,
  accessTokenVersion: 1,
}
const audience = 'https://orders.example'

async function setUp() {
  const clock = createEmulatorClock()
  return { clock, tokens: createAccessTokens({ origin, clock, keys: await createSigningKeys() }) }
}

test('a v1 token names the application as appid and the resource by its URI', async () => {
  const { tokens, clock } = await setUp()
  const token = await tokens.issue(subject, orders)
  const { kid, ...header } = decodeProtectedHeader(token)
  expect(header).toEqual({ typ: 'JWT', alg: 'RS256', x5t: kid })
  const claims = decodeJwt(token)
  expect(claims).toMatchObject({
    aud: audience,
    iss: `${origin}/${tenantId}/`,
    appid: subject.clientId,
    appidacr: '2',
    idtyp: 'app',
    oid: subject.objectId,
    sub: subject.objectId,
    tid: tenantId,
    ver: '1.0',
    xms_emulated: true,
  })
  expect(Number(claims.exp) - clock.nowSeconds()).toBeGreaterThanOrEqual(3598)
  expect(claims).not.toHaveProperty('azp')
  expect(claims).not.toHaveProperty('xms_mirid')
})

test('a v2 token names the application as azp and the resource by its client id', async () => {
  const { tokens } = await setUp()
  const token = await tokens.issue(subject, { ...orders, accessTokenVersion: 2 })
  expect(decodeProtectedHeader(token)).not.toHaveProperty('x5t')
  const claims = decodeJwt(token)
  expect(claims).toMatchObject({
    aud: orders.clientId,
    iss: `${origin}/${tenantId}/v2.0`,
    azp: subject.clientId,
    azpacr: '2',
    ver: '2.0',
  })
  expect(claims).not.toHaveProperty('appid')
})

test('a managed identity names its resource', async () => {
  const { tokens } = await setUp()
  const managedIdentityResourceId = '/subscriptions/s/resourcegroups/g/providers/p/orders'
  const token = await tokens.issue({ ...subject, managedIdentityResourceId }, orders)
  expect(decodeJwt(token)['xms_mirid']).toBe(managedIdentityResourceId)
})

test('a token verifies for its audience and says whose it is', async () => {
  const { tokens } = await setUp()
  const verdict = await tokens.verify(await tokens.issue(subject, orders), { audience })
  expect(verdict).toMatchObject({ ok: true, claims: { oid: subject.objectId, tid: tenantId } })
})

test('a token for another audience is refused, and the audience it has is told', async () => {
  const { tokens } = await setUp()
  const token = await tokens.issue(subject, orders)
  expect(await tokens.verify(token, { audience: 'https://vault.azure.net' })).toEqual({
    ok: false,
    reason: 'audience',
    found: audience,
  })
})

test('a token is refused once its lifetime is over', async () => {
  const { tokens, clock } = await setUp()
  const token = await tokens.issue(subject, orders)
  clock.shift(3600)
  expect(await tokens.verify(token, { audience })).toEqual({ ok: false, reason: 'expired' })
})

test('a token from the future is refused', async () => {
  const { tokens, clock } = await setUp()
  const token = await tokens.issue(subject, orders)
  clock.shift(-600)
  expect(await tokens.verify(token, { audience })).toEqual({ ok: false, reason: 'not-yet-valid' })
})

test('a token with one changed byte of signature is refused', async () => {
  const { tokens } = await setUp()
  const [header, payload, signature = ''] = (await tokens.issue(subject, orders)).split('.')
  const bytes = Buffer.from(signature, 'base64url')
  bytes.writeUInt8(bytes.readUInt8(0) ^ 1, 0)
  const forged = [header, payload, bytes.toString('base64url')].join('.')
  expect(await tokens.verify(forged, { audience })).toEqual({ ok: false, reason: 'signature' })
})

test('a token of another emulator is refused', async () => {
  const { tokens } = await setUp()
  const other = await setUp()
  const token = await other.tokens.issue(subject, orders)
  expect(await tokens.verify(token, { audience })).toEqual({ ok: false, reason: 'signature' })
})

test('what is no token at all is malformed', async () => {
  const { tokens } = await setUp()
  expect(await tokens.verify('orders', { audience })).toEqual({ ok: false, reason: 'malformed' })
})

test('a rotation signs with a new key and still shows the old one', async () => {
  const { tokens } = await setUp()
  const before = await tokens.issue(subject, orders)
  await tokens.rotate()
  const after = await tokens.issue(subject, orders)
  expect(decodeProtectedHeader(after).kid).not.toBe(decodeProtectedHeader(before).kid)
  expect(await tokens.verify(before, { audience })).toMatchObject({ ok: true })
  expect(await tokens.verify(after, { audience })).toMatchObject({ ok: true })
})

test('a rotation that withdraws the old key makes its tokens worthless', async () => {
  const { tokens } = await setUp()
  const before = await tokens.issue(subject, orders)
  await tokens.rotate('withdrawn')
  expect(tokens.jwks().keys).toHaveLength(1)
  expect(await tokens.verify(before, { audience })).toEqual({ ok: false, reason: 'signature' })
})
