import { decodeJwt } from 'jose'
import { expect, test } from 'vitest'
import { faultSchema } from '../../../../src/emulator/faults.ts'
import { createAppService } from '../../../../src/emulator/managed-identity/app-service.ts'
import { createPrincipalTokens } from '../../../../src/emulator/managed-identity/principal-tokens.ts'
import { call, contoso, createTestEntra, defaultWorld } from '../../../support/emulated-entra.ts'

async function createTestAppService() {
  const { entra, clock, faults } = await createTestEntra()
  const appService = createAppService({
    origin: 'http://127.0.0.1:8081',
    principals: defaultWorld.principals,
    issueToken: createPrincipalTokens(entra.accessTokens, entra.directory),
    clock,
    faults,
  })
  const get = (
    principal: string,
    parameters: Readonly<Record<string, string>>,
    header = appService.identities[principal]?.header,
  ) => {
    const query = new URLSearchParams({ 'api-version': '2019-08-01', ...parameters })
    return call(appService.service, 'GET', `/msi/token?${query.toString()}`, {
      headers: header === undefined ? {} : { 'x-identity-header': header },
    })
  }
  return { get, appService, entra, clock, faults }
}

const vault = { resource: 'https://vault.azure.net' }

test('the header selects the principal, and the token is for its tenant', async () => {
  const { get, entra, clock } = await createTestAppService()
  const { status, json } = await get('countersign', vault)
  expect(status).toBe(200)
  const { access_token, expires_on, ...others } = json
  expect(others).toEqual({
    resource: 'https://vault.azure.net',
    token_type: 'Bearer',
    client_id: '51000000-0000-4000-8000-0000000000c1',
  })
  expect(expires_on).toBe(String(clock.nowSeconds() + 3599))
  expect(decodeJwt(String(access_token))).toMatchObject({
    oid: '51000000-0000-4000-8000-000000000001',
    tid: contoso,
    xms_mirid: expect.stringMatching(/\/userAssignedIdentities\/countersign$/) as unknown,
  })
  const verdict = await entra.accessTokens.verify(String(access_token), {
    audience: 'https://vault.azure.net',
  })
  expect(verdict).toMatchObject({ ok: true })
})

test('another header is another principal', async () => {
  const { get } = await createTestAppService()
  const { json } = await get('build-agent', vault)
  expect(decodeJwt(String(json['access_token']))['oid']).toBe(
    '51000000-0000-4000-8000-000000000002',
  )
})

test.each([
  ['without header', vault, undefined, 401],
  ['with a wrong header', vault, 'guess', 401],
  ['without resource', {}, 'own', 400],
  ['for an unknown resource', { resource: 'https://nowhere.example' }, 'own', 400],
  ['with another api-version', { ...vault, 'api-version': '2016-09-01' }, 'own', 400],
  ['with the secret of the older form', { ...vault, 'api-version': '2017-09-01' }, 'own', 401],
  ['for an identity it has not', { ...vault, client_id: contoso }, 'own', 400],
])('a request %s is refused in the form of App Service', async (_, parameters, header, status) => {
  const { appService, get } = await createTestAppService()
  const secret = header === 'own' ? appService.identities['countersign']?.header : header
  const answer = await get('nobody', parameters, secret)
  expect(answer.status).toBe(status)
  expect(answer.json).toEqual({
    statusCode: status,
    message: expect.any(String) as unknown,
    correlationId: expect.stringMatching(/^[0-9a-f-]{36}$/) as unknown,
  })
})

test('a client may name the identity that it has', async () => {
  const { get } = await createTestAppService()
  const clientId = '51000000-0000-4000-8000-0000000000c1'
  const { json } = await get('countersign', vault)
  const resourceId = String(decodeJwt(String(json['access_token']))['xms_mirid'])
  for (const own of [{ client_id: clientId }, { mi_res_id: resourceId }]) {
    expect((await get('countersign', { ...vault, ...own })).status).toBe(200)
  }
})

test('the older generation takes its secret in another header, and says when in a text', async () => {
  const { appService, clock } = await createTestAppService()
  const secret = appService.identities['countersign']?.header
  const query = 'api-version=2017-09-01&resource=https%3A%2F%2Fvault.azure.net'
  const ask = (more: string) =>
    call(appService.service, 'GET', `/msi/token?${query}${more}`, { headers: { secret } })
  const { status, json } = await ask('&clientid=51000000-0000-4000-8000-0000000000C1')
  expect(status).toBe(200)
  expect(json['expires_on']).toMatch(/^\d\d\/\d\d\/\d{4} \d\d:\d\d:\d\d \+00:00$/)
  expect(Date.parse(String(json['expires_on'])) / 1000).toBe(clock.nowSeconds() + 3599)
  expect((await ask(`&clientid=${contoso}`)).status).toBe(400)
})

test('faults are answered in the same form', async () => {
  const { get, faults } = await createTestAppService()
  faults.add(faultSchema.parse({ at: 'managed-identity', kind: 'throttle' }))
  expect(await get('countersign', vault)).toMatchObject({
    status: 429,
    headers: { 'retry-after': '1' },
    json: { statusCode: 429 },
  })
  expect((await get('countersign', vault)).status).toBe(200)
})
