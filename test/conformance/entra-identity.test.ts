import { ClientAssertionCredential, ClientCertificateCredential } from '@azure/identity'
import { decodeJwt } from 'jose'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { tokenEndpointDialsSchema } from '../../src/emulator/entra/dials.ts'
import { createClientCertificate, type ClientCertificate } from '../support/client-certificate.ts'
import { trustByDefault } from '../support/default-trust.ts'
import {
  deploy,
  events,
  fabrikam,
  northwind,
  signAssertion,
  type AssertionChanges,
  oneVaultWorld,
} from '../support/emulated-entra.ts'
import { startTestEmulator, type TestEmulator } from '../support/emulator.ts'

const scope = 'https://orders.example/.default'
let emulator: TestEmulator
let certificate: ClientCertificate

beforeAll(async () => {
  emulator = await startTestEmulator({ world: oneVaultWorld })
  certificate = await createClientCertificate()
  emulator.entra.certificates.register('events', certificate.der)
  emulator.entra.certificates.register('deploy', certificate.der)
  trustByDefault(emulator.ca)
})
afterAll(() => emulator.stop())
afterEach(() => {
  emulator.entra.dials.set(tokenEndpointDialsSchema.parse({}))
  emulator.entra.exchanges.clear()
})

const options = () => ({
  authorityHost: emulator.endpoints.authority,
  disableInstanceDiscovery: true,
  retryOptions: { maxRetries: 0 },
})

const withCertificate = (
  pem: string,
  { tenant = fabrikam, clientId = events, sendCertificateChain = false } = {},
) =>
  new ClientCertificateCredential(
    tenant,
    clientId,
    { certificate: pem },
    { ...options(), sendCertificateChain },
  )

const withAssertion = (changes: () => AssertionChanges = () => ({}), tenant = fabrikam) =>
  new ClientAssertionCredential(
    tenant,
    events,
    () => {
      const { claims, header = {} } = changes()
      const aud = `${emulator.endpoints.authority}/${tenant}/oauth2/v2.0/token`
      const nowSeconds = Math.floor(Date.now() / 1000)
      return signAssertion(certificate, nowSeconds, { header, claims: { aud, ...claims } })
    },
    options(),
  )

const codes = () =>
  emulator.entra.exchanges
    .records()
    .map(({ outcome }) => (outcome.kind === 'refused' ? outcome.code : outcome.kind))

test('ClientCertificateCredential gets a token, by PS256 and x5t#S256', async () => {
  const { token } = await withCertificate(certificate.pem).getToken(scope)
  expect(decodeJwt(token)).toMatchObject({ appid: events, tid: fabrikam })
  expect(codes()).toEqual(['issued'])
})

test('a certificate chain beside the thumbprint does no harm', async () => {
  const credential = withCertificate(certificate.pem, { sendCertificateChain: true })
  await expect(credential.getToken(scope)).resolves.toHaveProperty('token')
})

test('one application gets tokens of each tenant where it is installed', async () => {
  for (const tenant of [fabrikam, northwind]) {
    const { token } = await withCertificate(certificate.pem, { tenant }).getToken(scope)
    expect(decodeJwt(token)['tid']).toBe(tenant)
  }
  const absent = withCertificate(certificate.pem, { tenant: northwind, clientId: deploy })
  await expect(absent.getToken(scope)).rejects.toThrow('AADSTS700016')
})

test('a certificate that nobody registered is refused', async () => {
  const stranger = await createClientCertificate()
  await expect(withCertificate(stranger.pem).getToken(scope)).rejects.toThrow(
    /AADSTS700027.*\[Reason - The key was not found\./,
  )
  expect(codes()).toEqual([700027])
})

test('an expired certificate is refused although it is registered', async () => {
  const notAfterSeconds = Math.floor(Date.now() / 1000) - 60
  const expired = await createClientCertificate({ notAfterSeconds })
  emulator.entra.certificates.register('events', expired.der)
  await expect(withCertificate(expired.pem).getToken(scope)).rejects.toThrow(
    /AADSTS700027.*The key used is expired/,
  )
})

test.each([
  ['https://orders.example/Orders.Read', 'AADSTS1002012'],
  ['https://nowhere.example/.default', 'AADSTS500011'],
])('the scope %s is refused with %s', async (wrong, code) => {
  await expect(withCertificate(certificate.pem).getToken(wrong)).rejects.toThrow(code)
})

test('several resources in one scope are refused', async () => {
  const scopes = [scope, 'https://vault.azure.net/.default']
  await expect(withCertificate(certificate.pem).getToken(scopes)).rejects.toThrow('AADSTS28002')
})

test('an unknown tenant is refused', async () => {
  const tenant = '00000000-0000-4000-8000-000000000000'
  const credential = withCertificate(certificate.pem, { tenant })
  await expect(credential.getToken(scope)).rejects.toThrow('endpoints_resolution_error')
})

test('ClientAssertionCredential gets a token with an assertion of our own', async () => {
  const { token } = await withAssertion().getToken(scope)
  expect(decodeJwt(token)).toMatchObject({ appid: events, tid: fabrikam })
  expect(codes()).toEqual(['issued'])
})

test.each<[string, string, () => AssertionChanges]>([
  ["another tenant's audience", 'AADSTS700023', () => ({ claims: { aud: tokenUrl(northwind) } })],
  ['its time over', 'AADSTS700024', () => ({ claims: times(-900) })],
  ['its time to come', 'AADSTS700024', () => ({ claims: times(900) })],
  ['another application in it', 'AADSTS700021', () => ({ claims: { iss: deploy, sub: deploy } })],
  ['no thumbprint', 'AADSTS5002723', () => ({ header: { 'x5t#S256': undefined } })],
])('an assertion with %s is refused with %s', async (_, code, changes) => {
  await expect(withAssertion(changes).getToken(scope)).rejects.toThrow(code)
})

const tokenUrl = (tenant: string) => `${emulator.endpoints.authority}/${tenant}/oauth2/v2.0/token`

/** A life of five minutes that begins so many seconds from now. */
function times(fromNow: number) {
  const nbf = Math.floor(Date.now() / 1000) + fromNow
  return { nbf, iat: nbf, exp: nbf + 300 }
}

test('the skew dial decides about an assertion that has just expired', async () => {
  const justExpired = () => ({ claims: times(-420) })
  await expect(withAssertion(justExpired).getToken(scope)).resolves.toHaveProperty('token')
  emulator.entra.dials.set(tokenEndpointDialsSchema.parse({ skewSeconds: 0 }))
  await expect(withAssertion(justExpired).getToken(scope)).rejects.toThrow('AADSTS700024')
})

test('the replay dial decides about an assertion that is used again', async () => {
  const always = () => ({ claims: { jti: 'always-the-same' } })
  await withAssertion(always).getToken(scope)
  await expect(withAssertion(always).getToken(scope)).resolves.toHaveProperty('token')
  emulator.entra.dials.set(tokenEndpointDialsSchema.parse({ replay: 'refused' }))
  await withAssertion(always).getToken(scope)
  await expect(withAssertion(always).getToken(scope)).rejects.toThrow('AADSTS50012')
})

test('a block of the tenant reaches the client in words', async () => {
  const block = { tenant: 'fabrikam', client: 'events', reason: 'conditional-access' } as const
  emulator.entra.blocks.put(block)
  await expect(withCertificate(certificate.pem).getToken(scope)).rejects.toThrow('AADSTS53003')
  emulator.entra.blocks.lift(block)
})
