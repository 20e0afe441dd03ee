import type { Request } from 'express'
import type { IssuanceDeps } from '../issuance/issuance-deps.ts'
import { jsonAnswer } from './answer.ts'
import { attemptRoute, type AttemptRoute } from './attempt-route.ts'
import { entraFailureAnswer, entraHeaders, entraTraceOf } from './entra-error.ts'
import { entraTenantFrom } from './entra-token.ts'
import { TokenRequestProblem } from './token-request-problem.ts'

type DiscoveryDeps = Pick<IssuanceDeps, 'clock' | 'cloud' | 'events' | 'underWay'>

/**
 * `GET /{tenant}/v2.0/.well-known/openid-configuration`: where to ask for tokens. Any tenant has one, so
 * that nobody finds out by it which ones there are. Its `issuer` is ours because MSAL takes no other one
 * from here; people sign in at Entra, and what is issued verifies by its keys.
 */
export const entraMetadataRoute = (publicUrl: string, deps: DiscoveryDeps): AttemptRoute<Request> =>
  discoveryRoute(deps, (request) => {
    const tenant = entraTenantFrom(String(request.params['tenant']))
    return {
      token_endpoint: `${publicUrl}/${tenant}/oauth2/v2.0/token`,
      token_endpoint_auth_methods_supported: ['private_key_jwt'],
      jwks_uri: `${deps.cloud}/${tenant}/discovery/v2.0/keys`,
      response_types_supported: ['code'],
      subject_types_supported: ['pairwise'],
      id_token_signing_alg_values_supported: ['RS256'],
      issuer: `${publicUrl}/${tenant}/v2.0`,
      authorization_endpoint: `${deps.cloud}/${tenant}/oauth2/v2.0/authorize`,
    }
  })

/**
 * `GET /common/discovery/instance`: which hosts are this authority. Only our own: a client never sends
 * its token elsewhere because of us.
 */
export function entraInstanceRoute(publicUrl: string, deps: DiscoveryDeps): AttemptRoute<Request> {
  const { host } = new URL(publicUrl)
  return discoveryRoute(deps, (request) => {
    const query = new URLSearchParams(request.url.split('?')[1] ?? '')
    const endpoint = URL.parse(query.get('authorization_endpoint') ?? '')
    if (endpoint?.origin !== publicUrl) {
      throw new TokenRequestProblem('instance_invalid', 'The authority is not this service.')
    }
    const tenant = entraTenantFrom(endpoint.pathname.split('/')[1])
    return {
      tenant_discovery_endpoint: `${publicUrl}/${tenant}/v2.0/.well-known/openid-configuration`,
      'api-version': '1.1',
      metadata: [{ preferred_network: host, preferred_cache: host, aliases: [host] }],
    }
  })
}

const discoveryRoute = (
  deps: DiscoveryDeps,
  documentFor: (request: Request) => object,
): AttemptRoute<Request> =>
  attemptRoute<Request>(
    (request, attempt) =>
      Promise.resolve({
        ...jsonAnswer(200, documentFor(request)),
        headers: entraHeaders(entraTraceOf(request, attempt, deps.clock.nowMs())),
      }),
    deps,
    (error, attempt, request) =>
      entraFailureAnswer(error, entraTraceOf(request, attempt, deps.clock.nowMs())),
  )
