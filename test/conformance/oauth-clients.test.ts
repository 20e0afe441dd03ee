import { createHash, X509Certificate } from 'node:crypto'
import { decodeJwt } from 'jose'
import * as oauth from 'oauth4webapi'
import * as openid from 'openid-client'
import { type Dispatcher, fetch } from 'undici'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { TestEmulator } from '../support/emulator.ts'
import { cast, defaultGrants, startServiceEmulator } from '../support/test-service.ts'
import { clientOrder } from '../support/tls-clients.ts'
import { startPublicService, type PublicService } from '../support/public-service.ts'

/** OAuth clients that we did not write, over TLS, against the service: discovery, both grants, and errors. */

let emulator: TestEmulator
let tls: PublicService
/** Connections that show no certificate. */
let plain: Dispatcher
/** Those of a client whose certificate proves it. */
let proven: Dispatcher
/** `x5t#S256` of that certificate. */
let thumbprint: string

beforeAll(async () => {
  emulator = await startServiceEmulator()
  const { clientCaFile } = emulator.endpoints
  tls = await startPublicService({
    emulator,
    configuration: (file) => ({
      ...file,
      issuers: {
        ...file.issuers,
        edge: { kind: 'mtls', caFile: clientCaFile, identity: 'uri' },
      },
    }),
    grants: [
      ...defaultGrants,
      {
        grant: 'by-certificate',
        caller: { issuer: 'edge', claims: { uri: { like: 'spiffe://fabrikam.example/*/*' } } },
        may: [{ application: 'events', tenant: cast.fabrikam, scopes: [cast.orders] }],
      },
    ],
  })
  plain = tls.files.connections()
  const credential = await emulator.clients.issue(clientOrder())
  const { raw } = new X509Certificate(credential.certificatePem)
  thumbprint = createHash('sha256').update(raw).digest('base64url')
  proven = tls.files.connections(credential)
})
afterAll(async () => {
  await tls.stop()
  await emulator.stop()
})

const target = `events/${cast.fabrikam}`
const exchange = 'urn:ietf:params:oauth:grant-type:token-exchange'
const tokenType = (name: string) => `urn:ietf:params:oauth:token-type:${name}`

/** The only thing that a client must be given: how to present a token that somebody else has signed. */
const presenting =
  (token: string) =>
  (_as: unknown, client: { readonly client_id: string }, body: URLSearchParams): void => {
    body.set('client_id', client.client_id)
    body.set('client_assertion_type', 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer')
    body.set('client_assertion', token)
  }

/** Both libraries take a `fetch`, for authorities of one's own. */
const through = (dispatcher: Dispatcher) => (url: string, init: object) =>
  fetch(url, { ...init, dispatcher })

const exchangeParameters = async (more: Readonly<Record<string, string>>) => ({
  subject_token: await tls.callerToken(),
  subject_token_type: tokenType('jwt'),
  ...more,
})

const expectToken = (token: string) => {
  expect(decodeJwt(token)).toMatchObject({ tid: cast.fabrikam, aud: 'https://orders.example' })
}

describe('oauth4webapi', () => {
  const options = (dispatcher: Dispatcher = plain) => ({ [oauth.customFetch]: through(dispatcher) })

  async function discovered(): Promise<oauth.AuthorizationServer> {
    const issuer = new URL(tls.publicUrl)
    const response = await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...options() })
    return oauth.processDiscoveryResponse(issuer, response)
  }

  async function clientCredentials(
    authentication: oauth.ClientAuth,
    {
      client_id = target,
      scope = cast.orders,
      dispatcher = plain,
    }: { client_id?: string; scope?: string; dispatcher?: Dispatcher } = {},
  ) {
    const [server, client] = [await discovered(), { client_id }]
    const response = await oauth.clientCredentialsGrantRequest(
      server,
      client,
      authentication,
      { scope },
      options(dispatcher),
    )
    return oauth.processClientCredentialsResponse(server, client, response)
  }

  test('finds the token endpoint by the metadata', async () => {
    expect(await discovered()).toMatchObject({
      issuer: tls.publicUrl,
      token_endpoint: `${tls.publicUrl}/oauth2/token`,
      token_endpoint_auth_methods_supported: ['private_key_jwt', 'tls_client_auth', 'none'],
    })
  })

  test('gets a token with the token of its pipeline for a client assertion', async () => {
    const answer = await clientCredentials(presenting(await tls.callerToken()))
    expectToken(answer.access_token)
    expect(answer).toMatchObject({ token_type: 'bearer', scope: cast.orders })
  })

  test('gets one with its certificate and no token (RFC 8705)', async () => {
    const answer = await clientCredentials(oauth.TlsClientAuth(), { dispatcher: proven })
    expectToken(answer.access_token)
  })

  test('and none without the certificate', async () => {
    await expect(clientCredentials(oauth.TlsClientAuth())).rejects.toMatchObject({
      name: 'ResponseBodyError',
      error: 'invalid_client',
      status: 401,
    })
  })

  test('and none with two proofs that are not bound to one another', async () => {
    const twice = clientCredentials(presenting(await tls.callerToken()), { dispatcher: proven })
    await expect(twice).rejects.toMatchObject({ error: 'invalid_client' })
  })

  test('gets one with a token that is bound to its certificate, and with no other connection', async () => {
    const bound = presenting(await tls.callerToken({ claims: { cnf: { 'x5t#S256': thumbprint } } }))

    expectToken((await clientCredentials(bound, { dispatcher: proven })).access_token)
    await expect(clientCredentials(bound)).rejects.toMatchObject({ error: 'invalid_client' })
  })

  test('gets none with a token that is bound to a DPoP key', async () => {
    const bound = await tls.callerToken({ claims: { cnf: { jkt: thumbprint } } })
    await expect(clientCredentials(presenting(bound))).rejects.toMatchObject({
      error: 'invalid_client',
    })
  })

  test.each([
    ['client_secret_post', oauth.ClientSecretPost('eve-was-here'), 'ResponseBodyError'],
    [
      'client_secret_basic',
      oauth.ClientSecretBasic('eve-was-here'),
      'WWWAuthenticateChallengeError',
    ],
  ])('is refused its secret: %s', async (_, authentication, name) => {
    await expect(clientCredentials(authentication)).rejects.toMatchObject({ name, status: 401 })
    expect(tls.service.log().join('\n')).not.toContain('eve-was-here')
  })

  test.each([
    ['unauthorized_client', { client_id: `events/${cast.northwind}` }],
    ['invalid_client', { client_id: 'events' }],
    ['invalid_scope', { scope: 'openid profile' }],
  ])('reads %s', async (error, asked) => {
    const refused = clientCredentials(presenting(await tls.callerToken()), asked)
    await expect(refused).rejects.toMatchObject({ name: 'ResponseBodyError', error })
  })

  test('exchanges the token of its pipeline for an assertion', async () => {
    const [server, client] = [await discovered(), { client_id: 'pipeline' }]
    const response = await oauth.genericTokenEndpointRequest(
      server,
      client,
      oauth.None(),
      exchange,
      await exchangeParameters({
        audience: `deploy/${cast.fabrikam}`,
        requested_token_type: tokenType('jwt'),
      }),
      options(),
    )
    const answer = await oauth.processGenericTokenEndpointResponse(server, client, response, {
      recognizedTokenTypes: { n_a: () => undefined },
    })
    expect(answer['issued_token_type']).toBe(tokenType('jwt'))
    expect(decodeJwt(answer.access_token)).toMatchObject({ sub: cast.deployClientId })
  })
})

describe('openid-client', () => {
  const configured = (
    authentication: openid.ClientAuth,
    { clientId = target, dispatcher = plain } = {},
  ) =>
    openid.discovery(new URL(tls.publicUrl), clientId, undefined, authentication, {
      algorithm: 'oauth2',
      [openid.customFetch]: through(dispatcher),
    })

  test('gets a token with the token of its pipeline for a client assertion', async () => {
    const config = await configured(presenting(await tls.callerToken()))
    const answer = await openid.clientCredentialsGrant(config, { scope: cast.orders })

    expectToken(answer.access_token)
    expect(answer.expiresIn()).toBeGreaterThan(3000)
  })

  test('gets one by a resource indicator (RFC 8707)', async () => {
    const config = await configured(presenting(await tls.callerToken()))
    const answer = await openid.clientCredentialsGrant(config, {
      resource: 'https://orders.example',
    })
    expectToken(answer.access_token)
  })

  test('gets one with its certificate', async () => {
    const config = await configured(openid.TlsClientAuth(), { dispatcher: proven })
    const answer = await openid.clientCredentialsGrant(config, { scope: cast.orders })
    expectToken(answer.access_token)
  })

  test('exchanges the token of its pipeline for one of the resource', async () => {
    const config = await configured(openid.None(), { clientId: 'pipeline' })
    const parameters = await exchangeParameters({ audience: target, scope: cast.orders })
    const answer = await openid.genericGrantRequest(config, exchange, parameters)

    expectToken(answer.access_token)
    expect(answer['issued_token_type']).toBe(tokenType('access_token'))
  })

  test.each([
    ['invalid_target', { audience: `events/${cast.northwind}`, scope: cast.orders }],
    ['invalid_request', { audience: target, scope: cast.orders, subject_token: 'not-a-token' }],
  ])('reads %s', async (error, asked) => {
    const config = await configured(openid.None(), { clientId: 'pipeline' })
    const refused = openid.genericGrantRequest(config, exchange, await exchangeParameters(asked))
    await expect(refused).rejects.toMatchObject({ error, status: 400 })
  })
})
