import type { EmulatedReply, EmulatedService } from '../exchange.ts'
import { jsonReply } from '../json-reply.ts'
import { KeysUnreachableError } from './authority-keys.ts'
import { askerOf, type ResourceTokenDeps } from './resource-token.ts'

export const eventHubsAudience = 'https://eventhubs.azure.net'

export interface EventHubsDeps extends Omit<ResourceTokenDeps, 'audience' | 'tenantIds'> {
  /** Id of the tenant that each namespace belongs to, by the name of the tenant. */
  readonly namespaces: ReadonlyMap<string, string>
}

/**
 * `POST /NAMESPACE/HUB/messages`, the sending half of Event Hubs: each tenant has one namespace, called like
 * it, that takes events from any application of that tenant and of no other. Nothing is kept.
 */
export function createEventHubs({ namespaces, ...deps }: EventHubsDeps): EmulatedService {
  return async ({ method, path, headers }) => {
    const [, namespace = '', hub = ''] = /^\/([^/]+)\/([^/]+)\/messages$/.exec(path) ?? []
    const tenantId = namespaces.get(namespace)
    if (tenantId === undefined || hub === '') return refusal(404, 'There is no such event hub.')
    if (method !== 'POST') return refusal(405, 'Only POST sends.')
    const token = /^Bearer (\S+)$/i.exec(headers.authorization ?? '')?.[1] ?? ''
    try {
      const check = { ...deps, audience: eventHubsAudience, tenantIds: [tenantId] }
      const asker = await askerOf(token, check)
      return asker === undefined
        ? refusal(401, 'The token is not valid for this namespace.')
        : { kind: 'answer', status: 201, headers: {}, body: Buffer.alloc(0) }
    } catch (error) {
      if (!(error instanceof KeysUnreachableError)) throw error
      return refusal(503, 'The keys of the authority are out of reach.')
    }
  }
}

/** The words are ours. */
const refusal = (status: number, detail: string): EmulatedReply =>
  jsonReply(status, { Error: { Code: status, Detail: detail } })
