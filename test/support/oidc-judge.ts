import { generateKeyPairSync, X509Certificate } from 'node:crypto'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import Provider from 'oidc-provider'
import { createLoopbackTls } from './loopback-tls.ts'

/** An OAuth server that shares no code with the product or the emulator, on loopback. */
export interface OidcJudge {
  /** `https://127.0.0.1:41234`: its issuer, and an authority to the product. */
  readonly origin: string
  /** PEM to trust it by. */
  readonly ca: string
  close(): Promise<void>
}

export interface JudgedClient {
  readonly clientId: string
  /** Of the certificate whose key authenticates it, by `private_key_jwt`. */
  readonly der: Buffer
  readonly algorithm: 'PS256' | 'RS256'
}

/**
 * Starts oidc-provider with its token endpoint where Entra has the one of a tenant.
 *
 * @param scopes What clients may ask for with `client_credentials`.
 */
export async function startOidcJudge(
  tenantId: string,
  clients: readonly JudgedClient[],
  scopes: readonly string[],
): Promise<OidcJudge> {
  const { key, cert } = createLoopbackTls()
  const server = createServer({ key, cert })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const origin = `https://127.0.0.1:${(server.address() as AddressInfo).port}`
  const provider = new Provider(origin, {
    clients: clients.map((client) => registrationOf(client, scopes)),
    clientAuthMethods: ['private_key_jwt'],
    enabledJWA: { clientAuthSigningAlgValues: ['PS256', 'RS256'] },
    routes: { token: `/${tenantId}/oauth2/v2.0/token` },
    scopes,
    responseTypes: [],
    features: { clientCredentials: { enabled: true }, devInteractions: { enabled: false } },
    // Its own, for what it signs; nothing here depends on them.
    jwks: { keys: [signingJwk()] },
    cookies: { keys: ['unused'] },
    ttl: { ClientCredentials: 600 },
  })
  const callback = provider.callback()
  server.on('request', (request, response) => void callback(request, response))
  return {
    origin,
    ca: cert,
    close: () =>
      new Promise((resolve) => {
        server.close(() => {
          resolve()
        })
        server.closeAllConnections()
      }),
  }
}

const registrationOf = ({ clientId, der, algorithm }: JudgedClient, scopes: readonly string[]) => ({
  client_id: clientId,
  token_endpoint_auth_method: 'private_key_jwt',
  token_endpoint_auth_signing_alg: algorithm,
  grant_types: ['client_credentials'],
  response_types: [],
  redirect_uris: [],
  scope: scopes.join(' '),
  jwks: {
    keys: [
      {
        ...new X509Certificate(der).publicKey.export({ format: 'jwk' }),
        use: 'sig',
        x5c: [der.toString('base64')],
      },
    ],
  },
})

const signingJwk = () => ({
  ...generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' }),
  use: 'sig',
})
