import { createHash } from 'node:crypto'
import { ConfidentialClientApplication, type INetworkModule } from '@azure/msal-node'
import { CryptographyClient, KeyClient } from '@azure/keyvault-keys'
import { decodeJwt } from 'jose'
import { Agent, request } from 'undici'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createClientCertificate, type ClientCertificate } from '../support/client-certificate.ts'
import {
  deploy,
  events,
  fabrikam,
  northwind,
  signAssertion,
  oneVaultWorld,
} from '../support/emulated-entra.ts'
import { startTestEmulator, type TestEmulator } from '../support/emulator.ts'

const scopes = ['https://orders.example/.default']
let emulator: TestEmulator
let certificate: ClientCertificate
let agent: Agent

beforeAll(async () => {
  emulator = await startTestEmulator({ world: oneVaultWorld })
  agent = new Agent({ connect: { ca: emulator.ca } })
  certificate = await createClientCertificate()
  emulator.entra.certificates.register('events', certificate.der)
})
afterAll(async () => {
  await agent.close()
  await emulator.stop()
})

/** MSAL sends instance discovery to Microsoft whatever the authority is: here the emulator stands in. */
const network: INetworkModule = {
  sendGetRequestAsync: (url, options) => send('GET', url, options),
  sendPostRequestAsync: (url, options) => send('POST', url, options),
}

const asked: string[] = []

async function send(
  method: 'GET' | 'POST',
  address: string,
  { headers = {}, body = null }: { headers?: Record<string, string>; body?: string | null } = {},
) {
  asked.push(address)
  const { authority } = emulator.endpoints
  const url = address.replace('https://login.microsoftonline.com', authority)
  const answer = await request(url, { method, headers, body, dispatcher: agent })
  return {
    headers: answer.headers as Record<string, string>,
    // Every type that MSAL may expect of the JSON.
    body: (await answer.body.json()) as never,
    status: answer.statusCode,
  }
}

type Auth = ConstructorParameters<typeof ConfidentialClientApplication>[0]['auth']

const thumbprintSha256 = (client: ClientCertificate) =>
  Buffer.from(client.x5tS256, 'base64url').toString('hex')

const clientWith = (auth: Partial<Auth>, authorityTenant = fabrikam) =>
  new ConfidentialClientApplication({
    auth: {
      clientId: events,
      authority: `${emulator.endpoints.authority}/${authorityTenant}`,
      knownAuthorities: [new URL(emulator.endpoints.authority).host],
      ...auth,
    },
    system: { networkClient: network },
  })

const clientCertificate = (client = certificate) => ({
  thumbprintSha256: thumbprintSha256(client),
  privateKey: client.privateKeyPem,
})

const acquire = (client: ConfidentialClientApplication) =>
  client.acquireTokenByClientCredential({ scopes })

test('a client with a certificate gets a token', async () => {
  const result = await acquire(clientWith({ clientCertificate: clientCertificate() }))
  expect(decodeJwt(result?.accessToken ?? '')).toMatchObject({ appid: events, tid: fabrikam })
  expect(result?.expiresOn?.getTime()).toBeGreaterThan(Date.now() + 3_500_000)
})

test('the older header, RS256 with the SHA-1 thumbprint, is accepted too', async () => {
  const thumbprint = Buffer.from(certificate.x5t, 'base64url').toString('hex')
  const older = { thumbprint, privateKey: certificate.privateKeyPem }
  await expect(acquire(clientWith({ clientCertificate: older }))).resolves.toHaveProperty(
    'accessToken',
  )
})

test('a callback that asks the vault for the signature gets a token', async () => {
  const credential = emulator.credential('countersign')
  const keys = new KeyClient(emulator.vaultUrl('contoso-hsm'), credential, emulator.clientOptions)
  const key = await keys.getKey('partner-signing')
  const signer = new CryptographyClient(key, credential, emulator.clientOptions)
  const registered = emulator.entra.certificates.registered('events')[0]
  const clientAssertion = async ({ tokenEndpoint = '' }: { tokenEndpoint?: string }) => {
    const nowSeconds = Math.floor(Date.now() / 1000)
    const header = { alg: 'PS256', typ: 'JWT', 'x5t#S256': registered?.x5tS256 }
    const claims = { aud: tokenEndpoint, iss: events, sub: events, exp: nowSeconds + 300 }
    const input = [header, claims]
      .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
      .join('.')
    const { result } = await signer.sign('PS256', createHash('sha256').update(input).digest())
    return `${input}.${Buffer.from(result).toString('base64url')}`
  }
  const result = await acquire(clientWith({ clientAssertion }))
  expect(decodeJwt(result?.accessToken ?? '')['tid']).toBe(fabrikam)
})

test('refusals reach the client with their code and sub-errors', async () => {
  const stranger = await createClientCertificate()
  const unknown = clientWith({ clientCertificate: clientCertificate(stranger) })
  await expect(acquire(unknown)).rejects.toMatchObject({
    errorCode: 'invalid_client',
    errorMessage: expect.stringContaining('AADSTS700027') as unknown,
  })
  const absent = clientWith({ clientId: deploy, clientCertificate: clientCertificate() }, northwind)
  await expect(acquire(absent)).rejects.toMatchObject({
    errorCode: 'unauthorized_client',
    errorMessage: expect.stringContaining('AADSTS700016') as unknown,
  })
  const secret = clientWith({ clientSecret: 'guess' })
  await expect(acquire(secret)).rejects.toMatchObject({
    errorCode: 'invalid_client',
    errorMessage: expect.stringContaining('AADSTS7000215') as unknown,
  })
})

test('an assertion for the wrong place is refused', async () => {
  const nowSeconds = Math.floor(Date.now() / 1000)
  const elsewhere = await signAssertion(certificate, nowSeconds)
  await expect(acquire(clientWith({ clientAssertion: elsewhere }))).rejects.toMatchObject({
    errorMessage: expect.stringContaining('AADSTS700023') as unknown,
  })
})

test('instance discovery makes an authority known that was not configured', async () => {
  asked.length = 0
  const client = clientWith({ clientCertificate: clientCertificate(), knownAuthorities: [] })
  await expect(acquire(client)).resolves.toHaveProperty('accessToken')
  expect(asked[0]).toMatch(/^https:\/\/login\.microsoftonline\.com\/common\/discovery\/instance\?/)
})

test('instance discovery refuses an authority that nobody knows, and nothing is sent there', async () => {
  asked.length = 0
  const client = clientWith({
    clientCertificate: clientCertificate(),
    authority: `https://login.nowhere.example/${fabrikam}`,
    knownAuthorities: [],
  })
  await expect(acquire(client)).rejects.toMatchObject({ errorCode: 'endpoints_resolution_error' })
  expect(asked.every((url) => !url.startsWith('https://login.nowhere.example/'))).toBe(true)
})
