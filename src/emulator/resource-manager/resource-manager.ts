import type { AccessTokens, AccessTokenClaims } from '../entra/access-tokens.ts'
import type { EmulatedReply, EmulatedRequest, EmulatedService } from '../exchange.ts'
import { jsonReply } from '../json-reply.ts'
import { servicePrincipalIn } from '../vault/authorization.ts'
import type { World, WorldSubscription } from '../world.ts'

export interface ResourceManagerDeps {
  readonly origin: string
  /** Of the emulated Entra. */
  readonly authorityOrigin: string
  readonly accessTokens: Pick<AccessTokens, 'verify'>
  readonly world: World
}

/** What tokens are for when they are for Azure Resource Manager; the first is named in refusals. */
const audiences = [
  'https://management.core.windows.net/',
  'https://management.core.windows.net',
  'https://management.azure.com/',
  'https://management.azure.com',
]

/**
 * As much of Azure Resource Manager as a client meets that asks for the resources of a subscription:
 * `GET /metadata/endpoints`, `GET /subscriptions` and `GET /subscriptions/{id}/resources`, read-only. The
 * codes of its refusals are Azure's; their texts are recalled.
 */
export function createResourceManager(deps: ResourceManagerDeps): EmulatedService {
  return async (request) => {
    const { method, path, query } = request
    const segments = path.toLowerCase().split('/').slice(1)
    if (method !== 'GET') return refusal(405, 'MethodNotAllowed', 'Only GET is supported here.')
    if (!query.get('api-version')) {
      const words = 'The api-version query parameter (?api-version=) is required for all requests.'
      return refusal(400, 'MissingApiVersionParameter', words)
    }
    if (segments.join('/') === 'metadata/endpoints') return jsonReply(200, endpointsOf(deps))
    const [subscriptions, id, resources, ...more] = segments
    const isKnown =
      subscriptions === 'subscriptions' && [undefined, 'resources'].includes(resources)
    if (!isKnown || more.length > 0) return refusal(404, 'NotFound', 'There is nothing here.')
    const proof = await provenBy(request, deps)
    if (!proof.ok) return proof.reply
    const { claims } = proof
    if (id === undefined) return listSubscriptions(claims, deps)
    return answerAbout(id, resources, claims, deps)
  }
}

function answerAbout(
  id: string,
  resources: string | undefined,
  { tid, oid, appid = '' }: AccessTokenClaims,
  { world, authorityOrigin }: ResourceManagerDeps,
): EmulatedReply {
  const subscription = world.subscriptions.find((one) => one.id.toLowerCase() === id)
  if (subscription === undefined) {
    return refusal(404, 'SubscriptionNotFound', `The subscription '${id}' could not be found.`)
  }
  const expected = tenantIdOf(subscription, world)
  if (tid !== expected) {
    return refusal(
      401,
      'InvalidAuthenticationTokenTenant',
      `The access token is from the wrong issuer '${authorityOrigin}/${tid}/'. It must match the tenant ` +
        `'${authorityOrigin}/${expected}/' associated with this subscription.`,
      authorityOrigin,
    )
  }
  if (!isReader(oid, subscription, world)) {
    const action = resources === undefined ? 'subscriptions/read' : 'subscriptions/resources/read'
    return refusal(
      403,
      'AuthorizationFailed',
      `The client '${appid}' with object id '${oid}' does not have authorization to perform action ` +
        `'Microsoft.Resources/${action}' over scope '/subscriptions/${id}' or the scope is invalid. If ` +
        'access was recently granted, please refresh your credentials.',
    )
  }
  return jsonReply(
    200,
    resources === undefined
      ? subscriptionOf(subscription, world)
      : { value: subscription.resources.map((one) => resourceOf(subscription, one)) },
  )
}

type Proof =
  | { readonly ok: true; readonly claims: AccessTokenClaims }
  | { readonly ok: false; readonly reply: EmulatedReply }

/** By a token that is ours, in time, and for this API. */
async function provenBy(
  { headers }: EmulatedRequest,
  { accessTokens, authorityOrigin }: ResourceManagerDeps,
): Promise<Proof> {
  const refused = (code: string, words: string): Proof => ({
    ok: false,
    reply: refusal(401, code, words, authorityOrigin),
  })
  const token = /^bearer +(\S+)$/i.exec(headers.authorization ?? '')?.[1]
  if (token === undefined) {
    const words = "Authentication failed. The 'Authorization' header is missing."
    return refused('AuthenticationFailed', words)
  }
  const verdict = await accessTokens.verify(token, { audience: audiences })
  if (verdict.ok) return verdict
  switch (verdict.reason) {
    case 'audience':
      return refused(
        'InvalidAuthenticationTokenAudience',
        'The access token has been obtained for wrong audience or resource ' +
          `'${verdict.found}'. It should exactly match with one of the allowed audiences ` +
          `'${audiences.join("','")}'.`,
      )
    case 'expired':
      return refused('ExpiredAuthenticationToken', 'The access token has expired.')
    case 'not-yet-valid':
    case 'signature':
    case 'malformed':
      return refused('InvalidAuthenticationToken', 'The access token is invalid.')
  }
}

/** Those of the token's tenant that whoever shows it may read; none is no refusal. */
const listSubscriptions = ({ tid, oid }: AccessTokenClaims, { world }: ResourceManagerDeps) =>
  jsonReply(200, {
    value: world.subscriptions
      .filter((one) => tenantIdOf(one, world) === tid && isReader(oid, one, world))
      .map((one) => subscriptionOf(one, world)),
  })

const isReader = (objectId: string, { readers, tenant }: WorldSubscription, world: World) =>
  readers.some((name) => servicePrincipalIn(world, tenant, name) === objectId)

const subscriptionOf = (subscription: WorldSubscription, world: World) => ({
  id: `/subscriptions/${subscription.id}`,
  subscriptionId: subscription.id,
  tenantId: tenantIdOf(subscription, world),
  displayName: subscription.name,
  state: 'Enabled',
})

const resourceOf = (
  { id }: WorldSubscription,
  { name, type, resourceGroup, location }: WorldSubscription['resources'][number],
) => ({
  id: `/subscriptions/${id}/resourceGroups/${resourceGroup}/providers/${type}/${name}`,
  name,
  type,
  location,
})

function tenantIdOf({ name, tenant }: WorldSubscription, { tenants }: World): string {
  const id = tenants.find((one) => one.name === tenant)?.id
  if (id === undefined) throw new Error(`subscription ${name}: unknown tenant '${tenant}'`)
  return id
}

/** Where clients of a cloud that they do not know learn the rest of it. */
const endpointsOf = ({ origin, authorityOrigin }: ResourceManagerDeps) => ({
  name: 'Emulated',
  resourceManager: origin,
  microsoftGraphResourceId: 'https://graph.microsoft.com/',
  authentication: {
    loginEndpoint: authorityOrigin,
    audiences: ['https://management.core.windows.net/', 'https://management.azure.com/'],
    tenant: 'common',
    identityProvider: 'AAD',
  },
  suffixes: { storage: 'core.windows.net', keyVaultDns: 'vault.azure.net' },
})

function refusal(
  status: number,
  code: string,
  message: string,
  authorityOrigin?: string,
): EmulatedReply {
  const challenge = `Bearer authorization_uri="${authorityOrigin ?? ''}/", error="invalid_token", error_description="${code}"`
  return jsonReply(
    status,
    { error: { code, message } },
    authorityOrigin === undefined ? {} : { 'www-authenticate': challenge },
  )
}
