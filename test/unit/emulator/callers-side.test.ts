import { decodeJwt } from 'jose'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createClientCertificate } from '../../support/client-certificate.ts'
import { events, fabrikam, oneVaultWorld, requestOf } from '../../support/emulated-entra.ts'
import { startTestEmulator, type TestEmulator } from '../../support/emulator.ts'

let emulator: TestEmulator

beforeAll(async () => {
  emulator = await startTestEmulator({ world: oneVaultWorld })
})
afterAll(() => emulator.stop())

test('the endpoints say where issuers, identities and the sample resource are', () => {
  const { issuers, managedIdentities, sampleResource, eventHubs } = emulator.endpoints
  expect(Object.keys(issuers)).toEqual(['github', 'gitlab', 'cluster', 'devops', 'mesh'])
  expect(Object.keys(managedIdentities)).toContain('fabrikam-orders')
  expect(eventHubs['fabrikam']).toMatch(/^https:\/\/127\.0\.0\.1:\d+\/fabrikam\/orders\/messages$/)
  expect(sampleResource).toMatch(/^https:\/\/127\.0\.0\.1:\d+\/orders$/)
})

test('a caller token is minted as ordered, and an order with a mistake is refused', async () => {
  const order = { audience: 'https://a.example', claims: { repository_id: '7' } }
  const minted = await emulator.control('POST /issuers/github/token', order)
  expect(decodeJwt((minted as { token: string }).token)).toMatchObject({
    iss: emulator.endpoints.issuers['github'],
    aud: 'https://a.example',
    repository_id: '7',
  })
  await expect(emulator.control('POST /issuers/github/token', { claim: {} })).rejects.toThrow('400')
  await expect(emulator.control('POST /issuers/nobody/token')).rejects.toThrow(
    "no issuer 'nobody': there is github, gitlab, cluster",
  )
})

test('a CI job is started where jobs fetch their tokens, and nowhere else', async () => {
  const job = await emulator.control('POST /issuers/github/jobs', { claims: { ref: 'refs/x' } })
  expect(job).toMatchObject({ requestToken: expect.any(String) as unknown })
  expect(await emulator.control('POST /issuers/devops/jobs')).toMatchObject({
    serviceConnectionId: expect.any(String) as unknown,
  })
  await expect(emulator.control('POST /issuers/gitlab/jobs')).rejects.toThrow('409')
})

test('a principal has tokens for what exists in its tenant', async () => {
  const path = 'POST /principals/build-agent/access-token'
  const issued = await emulator.control(path, { resource: 'https://vault.azure.net' })
  const { access_token } = issued as { access_token: string }
  expect(decodeJwt(access_token)['oid']).toBe('51000000-0000-4000-8000-000000000002')
  await expect(emulator.control(path, { resource: 'https://orders.example' })).rejects.toThrow(
    '409',
  )
  await expect(emulator.control('POST /principals/nobody/access-token')).rejects.toThrow('404')
})

test('certificates of an application are listed, registered and taken away', async () => {
  const path = '/applications/events/certificates'
  const certificate = await createClientCertificate()
  const thumbprints = async () =>
    ((await emulator.control(`GET ${path}`)) as { x5tS256: string }[]).map((one) => one.x5tS256)
  const [fromVault] = await thumbprints()
  await emulator.control(`POST ${path}`, { cer: certificate.der.toString('base64') })
  expect(await thumbprints()).toEqual([fromVault, certificate.x5tS256])
  await emulator.control(`DELETE ${path}/${certificate.x5tS256}`)
  expect(await thumbprints()).toEqual([fromVault])
  await expect(emulator.control(`DELETE ${path}/${certificate.x5tS256}`)).rejects.toThrow('404')
  await expect(emulator.control(`POST ${path}`, { cer: 'AAAA' })).rejects.toThrow(
    'not a DER certificate',
  )
  await expect(emulator.control('GET /applications/nobody/certificates')).rejects.toThrow(
    "no application 'nobody': there is events, deploy",
  )
})

test('a rolled certificate is registered nowhere until somebody registers it', async () => {
  const rolled = await emulator.control('POST /vaults/contoso-hsm/certificates/deploy-signing/roll')
  const { cer } = rolled as { cer: string }
  const path = '/applications/deploy/certificates'
  expect(await emulator.control(`GET ${path}`)).toHaveLength(1)
  await emulator.control(`POST ${path}`, { cer })
  expect(await emulator.control(`GET ${path}`)).toHaveLength(2)
})

test('dials are turned and go back to their defaults', async () => {
  const turned = await emulator.control('POST /entra/dials', { skewSeconds: 0, replay: 'refused' })
  expect(turned).toMatchObject({ skewSeconds: 0, replay: 'refused', keyIdOnly: 'accepted' })
  expect(await emulator.control('GET /entra/dials')).toEqual(turned)
  expect(await emulator.control('POST /entra/dials', {})).toMatchObject({ skewSeconds: 300 })
  await expect(emulator.control('POST /entra/dials', { skew: 0 })).rejects.toThrow('400')
})

test('blocks are put and lifted', async () => {
  const block = { tenant: 'fabrikam', client: 'events', reason: 'conditional-access' }
  expect(await emulator.control('POST /entra/blocks', block)).toEqual([block])
  await emulator.control('DELETE /entra/blocks')
  expect(await emulator.control('GET /entra/blocks')).toEqual([])
})

test('exchanges are listed and forgotten', async () => {
  const body = `grant_type=client_credentials&client_id=${events}`
  const headers = { 'content-type': 'application/x-www-form-urlencoded' }
  const path = `/${fabrikam}/oauth2/v2.0/token`
  await emulator.entra.service(requestOf('POST', path, { headers, body }))
  expect(await emulator.control('GET /exchanges')).toMatchObject([
    { tenant: fabrikam, outcome: { kind: 'refused', code: 90014 } },
  ])
  await emulator.control('DELETE /exchanges')
  expect(await emulator.control('GET /exchanges')).toEqual([])
})

test('keys are rotated through the control interface', async () => {
  const keyIds = () => emulator.entra.accessTokens.jwks().keys.map(({ kid }) => kid)
  const before = keyIds()
  await emulator.control('POST /entra/keys/rotate')
  expect(keyIds()).toEqual([expect.any(String), ...before])
  await emulator.control('POST /entra/keys/rotate', { previous: 'withdrawn' })
  expect(keyIds()).toHaveLength(1)
  const github = emulator.issuers.find('github')?.keys
  const first = github?.current().keyId
  await emulator.control('POST /issuers/github/keys/rotate')
  expect(github?.published().map(({ keyId }) => keyId)).toContain(first)
  expect(github?.current().keyId).not.toBe(first)
})
