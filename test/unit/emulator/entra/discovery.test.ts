import { expect, test } from 'vitest'
import { faultSchema } from '../../../../src/emulator/faults.ts'
import { call, createTestEntra, fabrikam, origin } from '../../../support/emulated-entra.ts'

const get = async (target: string) => {
  const { entra } = await createTestEntra()
  return call(entra.service, 'GET', target)
}

const instance = (authority: string) =>
  `/common/discovery/instance?api-version=1.1&authorization_endpoint=${encodeURIComponent(authority)}`

test('the metadata of a tenant names endpoints and issuer below our own origin', async () => {
  const { status, json } = await get(`/${fabrikam}/v2.0/.well-known/openid-configuration`)
  expect(status).toBe(200)
  expect(json).toMatchObject({
    issuer: `${origin}/${fabrikam}/v2.0`,
    token_endpoint: `${origin}/${fabrikam}/oauth2/v2.0/token`,
    jwks_uri: `${origin}/${fabrikam}/discovery/v2.0/keys`,
    token_endpoint_auth_methods_supported: expect.arrayContaining(['private_key_jwt']) as unknown,
  })
})

test('the v1 metadata has the v1 issuer', async () => {
  const { json } = await get(`/${fabrikam}/.well-known/openid-configuration`)
  expect(json).toMatchObject({
    issuer: `${origin}/${fabrikam}/`,
    token_endpoint: `${origin}/${fabrikam}/oauth2/token`,
    jwks_uri: `${origin}/common/discovery/keys`,
  })
})

test('the common metadata leaves the tenant of the issuer open', async () => {
  const { json } = await get('/common/v2.0/.well-known/openid-configuration')
  expect(json).toMatchObject({ issuer: `${origin}/{tenantid}/v2.0` })
})

test('a tenant named by domain is shown by id; an unknown one is refused', async () => {
  const known = await get('/fabrikam.onmicrosoft.com/v2.0/.well-known/openid-configuration')
  expect(known.json).toMatchObject({ issuer: `${origin}/${fabrikam}/v2.0` })
  const unknown = await get('/nowhere.example/v2.0/.well-known/openid-configuration')
  expect(unknown).toMatchObject({ status: 400, json: { error_codes: [90002] } })
})

test('every published key carries the issuer template of its generation', async () => {
  const v2 = await get('/common/discovery/v2.0/keys')
  expect(v2.json['keys']).toEqual([
    {
      kty: 'RSA',
      use: 'sig',
      kid: expect.any(String) as unknown,
      x5t: expect.any(String) as unknown,
      x5c: [expect.any(String)],
      n: expect.any(String) as unknown,
      e: 'AQAB',
      cloud_instance_name: new URL(origin).host,
      issuer: `${origin}/{tenantid}/v2.0`,
    },
  ])
  const v1 = await get('/common/discovery/keys')
  expect(v1.json['keys']).toMatchObject([{ issuer: `${origin}/{tenantid}/` }])
})

test('instance discovery knows its own host and those of Microsoft', async () => {
  for (const host of [new URL(origin).host, 'login.microsoftonline.com', 'login.windows.net']) {
    const { status, json } = await get(
      instance(`https://${host}/${fabrikam}/oauth2/v2.0/authorize`),
    )
    expect(status).toBe(200)
    expect(json).toMatchObject({
      tenant_discovery_endpoint: `https://${host}/${fabrikam}/v2.0/.well-known/openid-configuration`,
      metadata: expect.arrayContaining([
        expect.objectContaining({ aliases: [new URL(origin).host] }),
      ]) as unknown,
    })
  }
})

test.each([
  ['an unknown host', 'https://login.microsoftonline.com.evil.example/common/authorize'],
  ['plain http', `${origin.replace('https', 'http')}/common/authorize`],
  ['what is no address', 'login.microsoftonline.com'],
])('instance discovery refuses %s as Microsoft does', async (_, authority) => {
  expect(await get(instance(authority))).toMatchObject({
    status: 400,
    json: { error: 'invalid_instance', error_codes: [50049] },
  })
})

test('a fault at the keys strikes the keys and not the token endpoint', async () => {
  const { entra, faults } = await createTestEntra()
  faults.add(faultSchema.parse({ at: 'jwks', kind: 'server-error', status: 500 }))
  const keys = () => call(entra.service, 'GET', '/common/discovery/v2.0/keys')
  expect((await call(entra.service, 'POST', `/${fabrikam}/oauth2/v2.0/token`)).status).toBe(400)
  expect((await keys()).status).toBe(500)
  expect((await keys()).status).toBe(200)
})

test('anything else is not there', async () => {
  expect((await get('/')).status).toBe(404)
  expect((await get(`/${fabrikam}/oauth2/v2.0/devicecode`)).status).toBe(404)
})
