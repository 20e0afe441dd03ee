import { generateKeyPairSync } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import Provider from 'oidc-provider'

/** Where people sign in with any name and password; it shares no code with the product. */
export interface PeopleIssuer {
  /** `http://127.0.0.1:41234`. */
  readonly origin: string
  /** How often somebody was given tokens, or refused them. */
  tokenRequests(): number
  close(): Promise<void>
}

export const pageClient = {
  clientId: 'countersign-audit',
  clientSecret: 'a-client-secret-that-is-long-enough',
} as const

/** The team that whoever signs in by that name is of; others are of none. */
const teams: Readonly<Record<string, string>> = { ada: 'audit', eve: 'sales' }

/** What the directory has of that name, as Entra says it; of others nothing. */
export const oidOfEve = 'dddddddd-0000-4000-8000-00000000000e'

/** @param kind Of the page as a client: with the secret of {@link pageClient}, or with none. */
export async function startPeopleIssuer(
  redirectUri: string,
  kind: 'confidential' | 'public' = 'confidential',
): Promise<PeopleIssuer> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const provider = new Provider(origin, {
    clients: [
      {
        client_id: pageClient.clientId,
        ...(kind === 'public'
          ? { token_endpoint_auth_method: 'none' }
          : {
              client_secret: pageClient.clientSecret,
              token_endpoint_auth_method: 'client_secret_post',
            }),
        grant_types: ['authorization_code'],
        response_types: ['code'],
        redirect_uris: [redirectUri],
      },
    ],
    clientAuthMethods: ['client_secret_post', 'none'],
    claims: { openid: ['sub', 'team', 'oid'], profile: [] },
    conformIdTokenClaims: false,
    findAccount: (_context: unknown, sub: string) => ({
      accountId: sub,
      claims: () => ({
        sub,
        ...(teams[sub] === undefined ? {} : { team: teams[sub] }),
        ...(sub === 'eve' ? { oid: oidOfEve } : {}),
      }),
    }),
    pkce: { required: () => true },
    scopes: ['openid', 'profile'],
    jwks: {
      keys: [{ ...privateKey.export({ format: 'jwk' }), alg: 'RS256', use: 'sig', kid: 'people' }],
    },
    cookies: { keys: ['of-the-issuer'] },
  })
  let tokenRequests = 0
  const callback = provider.callback()
  server.on('request', (request, response) => {
    if (request.url === '/token') tokenRequests += 1
    void callback(request, response)
  })
  return {
    origin,
    tokenRequests: () => tokenRequests,
    close: () =>
      new Promise((resolve) => {
        server.close(() => {
          resolve()
        })
        server.closeAllConnections()
      }),
  }
}
