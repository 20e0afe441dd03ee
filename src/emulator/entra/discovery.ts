import type { JSONWebKeySet } from 'jose'
import type { EmulatedReply } from '../exchange.ts'
import { jsonReply } from '../json-reply.ts'
import { issuerV1, issuerV2 } from './access-tokens.ts'
import type { EntraRefusal } from './refusal.ts'

/** The two generations of endpoints, which differ in paths and in `iss`. */
export type EndpointVersion = 'v1' | 'v2'

const issuerOf = { v1: issuerV1, v2: issuerV2 }
const versionPath = { v1: '', v2: '/v2.0' }

const cors = { 'access-control-allow-origin': '*' }
const cacheable = { ...cors, 'cache-control': 'max-age=86400, private' }

/**
 * OIDC metadata of a tenant. Real Entra names its own origin here, and msal-common accepts an issuer
 * from nowhere else, so it is the emulator's.
 *
 * @param tenant A GUID, or `common`, whose metadata has `{tenantid}` for an issuer's tenant.
 */
export function metadataReply(
  origin: string,
  tenant: string,
  version: EndpointVersion,
): EmulatedReply {
  const isCommon = tenant === 'common'
  const oauth = `${origin}/${tenant}/oauth2${versionPath[version]}`
  const keys = version === 'v2' ? `${tenant}/discovery/v2.0/keys` : 'common/discovery/keys'
  const metadata = {
    token_endpoint: `${oauth}/token`,
    token_endpoint_auth_methods_supported: [
      'client_secret_post',
      'private_key_jwt',
      'client_secret_basic',
    ],
    jwks_uri: `${origin}/${keys}`,
    response_modes_supported: ['query', 'fragment', 'form_post'],
    subject_types_supported: ['pairwise'],
    id_token_signing_alg_values_supported: ['RS256'],
    response_types_supported: ['code', 'id_token', 'code id_token', 'id_token token'],
    scopes_supported: ['openid', 'profile', 'email', 'offline_access'],
    issuer: issuerOf[version](origin, isCommon ? '{tenantid}' : tenant),
    request_uri_parameter_supported: false,
    authorization_endpoint: `${oauth}/authorize`,
    device_authorization_endpoint: `${oauth}/devicecode`,
    http_logout_supported: true,
    frontchannel_logout_supported: true,
    end_session_endpoint: `${oauth}/logout`,
    claims_supported: [
      'sub',
      'iss',
      'aud',
      'exp',
      'iat',
      'auth_time',
      'acr',
      'nonce',
      'tid',
      'ver',
    ],
    kerberos_endpoint: `${origin}/${tenant}/kerberos`,
    tenant_region_scope: isCommon ? null : 'EU',
    cloud_instance_name: new URL(origin).host,
    cloud_graph_host_name: 'graph.windows.net',
    msgraph_host: 'graph.microsoft.com',
    rbac_url: 'https://pas.windows.net',
  }
  return jsonReply(200, metadata, cacheable)
}

/** Every entry carries the issuer that its tokens must have once `{tenantid}` is filled in. */
export function keysReply(
  origin: string,
  jwks: JSONWebKeySet,
  version: EndpointVersion,
): EmulatedReply {
  const issuer = issuerOf[version](origin, '{tenantid}')
  const keys = jwks.keys.map((key) => ({
    ...key,
    cloud_instance_name: new URL(origin).host,
    issuer,
  }))
  return jsonReply(200, { keys }, cacheable)
}

/** Hosts of the public and the sovereign clouds, each list one set of aliases. */
const microsoftHosts: readonly (readonly [network: string, cache: string, ...others: string[]])[] =
  [
    ['login.microsoftonline.com', 'login.windows.net', 'login.microsoft.com', 'sts.windows.net'],
    [
      'login.partner.microsoftonline.cn',
      'login.partner.microsoftonline.cn',
      'login.chinacloudapi.cn',
    ],
    ['login.microsoftonline.us', 'login.microsoftonline.us', 'login.usgovcloudapi.net'],
  ]

/**
 * Which hosts are authorities, and which of them are one. Knows Microsoft's and the emulator's.
 *
 * @returns a refusal for every other host, so that a client never sends an assertion there.
 */
export function instanceDiscovery(
  origin: string,
  authorizationEndpoint: string | null,
): EmulatedReply | EntraRefusal {
  const own = new URL(origin).host
  const clouds = [[own, own] as const, ...microsoftHosts]
  const endpoint = URL.parse(authorizationEndpoint ?? '')
  const isKnown = clouds.flat().includes(endpoint?.host ?? '')
  if (endpoint?.protocol !== 'https:' || !isKnown) {
    return { code: 50049, text: 'Unknown or invalid instance.' }
  }
  const tenant = endpoint.pathname.split('/')[1] ?? 'common'
  const metadata = clouds.map(([network, cache, ...others]) => ({
    preferred_network: network,
    preferred_cache: cache,
    aliases: [...new Set([network, cache, ...others])],
  }))
  const discovery = {
    tenant_discovery_endpoint: `${endpoint.origin}/${tenant}/v2.0/.well-known/openid-configuration`,
    'api-version': '1.1',
    metadata,
  }
  return jsonReply(200, discovery, cacheable)
}
