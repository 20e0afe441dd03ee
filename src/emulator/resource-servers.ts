import type { ServerCertificate } from './certificate-authority.ts'
import type { EmulatorClock } from './emulator-clock.ts'
import type { AccessTokens } from './entra/access-tokens.ts'
import { listenHttps } from './listener.ts'
import { createResourceManager } from './resource-manager/resource-manager.ts'
import { createAuthorityKeys, type AuthorityKeys } from './sample-resource/authority-keys.ts'
import { createEventHubs, eventHubsAudience } from './sample-resource/event-hubs.ts'
import { createSampleResource, sampleAudience } from './sample-resource/sample-resource.ts'
import type { World } from './world.ts'

/** Where the APIs are that tokens are asked for, beside vaults and Azure Monitor. */
export interface ResourceServers {
  /** `GET` it with an access token for `https://orders.example`. */
  readonly sampleResource: string
  /** Where events are sent to the namespace of each tenant that has Event Hubs, by tenant. */
  readonly eventHubs: Readonly<Record<string, string>>
  /** Origin of Azure Resource Manager. */
  readonly resourceManager: string
}

export interface ResourceServersDeps {
  readonly world: World
  readonly authorityOrigin: string
  readonly accessTokens: Pick<AccessTokens, 'verify'>
  readonly tls: ServerCertificate
  /** PEM that the authority's certificate chains to. */
  readonly caPem: string
  readonly clock: EmulatorClock
  /** Takes the listeners over, one by one as they start. */
  readonly started: AsyncDisposableStack
}

export async function startResourceServers(deps: ResourceServersDeps): Promise<ResourceServers> {
  const keysUrl = new URL('/common/discovery/v2.0/keys', deps.authorityOrigin)
  const authorityKeys = deps.started.adopt(createAuthorityKeys(keysUrl, deps.caPem), (part) =>
    part.close(),
  )
  return {
    sampleResource: await startSampleResource(authorityKeys, deps),
    eventHubs: await startEventHubs(authorityKeys, deps),
    resourceManager: await startResourceManager(deps),
  }
}

const listen = async ({ started, tls }: ResourceServersDeps) =>
  started.adopt(await listenHttps({ tls }), (part) => part.close())

async function startSampleResource(
  authorityKeys: AuthorityKeys,
  deps: ResourceServersDeps,
): Promise<string> {
  const { authorityOrigin, world, clock } = deps
  const listener = await listen(deps)
  listener.serve(
    createSampleResource({
      authorityOrigin,
      authorityKeys,
      audience: sampleAudience,
      tenantIds: tenantsOf(sampleAudience, world).map(({ id }) => id),
      clock,
    }),
  )
  return `${listener.origin}/orders`
}

async function startEventHubs(
  authorityKeys: AuthorityKeys,
  deps: ResourceServersDeps,
): Promise<ResourceServers['eventHubs']> {
  const { authorityOrigin, world, clock } = deps
  const listener = await listen(deps)
  const tenants = tenantsOf(eventHubsAudience, world)
  const namespaces = new Map(tenants.map(({ name, id }) => [name, id]))
  listener.serve(createEventHubs({ authorityOrigin, authorityKeys, namespaces, clock }))
  return Object.fromEntries(
    tenants.map(({ name }) => [name, `${listener.origin}/${name}/orders/messages`]),
  )
}

async function startResourceManager(deps: ResourceServersDeps): Promise<string> {
  const { authorityOrigin, accessTokens, world } = deps
  const listener = await listen(deps)
  const { origin } = listener
  listener.serve(createResourceManager({ origin, authorityOrigin, accessTokens, world }))
  return origin
}

/** Of the tenants that have a resource; none where the world has no such resource. */
function tenantsOf(uri: string, { resources, tenants }: World): World['tenants'] {
  const resource = resources.find(({ uris }) => uris.includes(uri))
  return tenants.filter(({ name }) => resource?.tenants.includes(name))
}
