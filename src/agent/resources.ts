import { parseScope, type ClientId, type Scope } from '../base/ids.ts'
import type { AgentRefusal } from './agent-refusal.ts'
import { ServiceError, type TokenOrder } from './countersign-service.ts'
import type { ResourceToken, ResourceTokens } from './resource-tokens.ts'

/** What a program gets when it asks for a token of a resource. */
export interface Resource extends TokenOrder {
  /** As programs ask for it, normalised like a scope. */
  readonly resource: Scope
  /** What a program may name as the identity that it wants; absent: it may name none. */
  readonly clientId?: ClientId
}

/** What a program asks for, as it wrote it. */
export interface ResourceAsk {
  readonly resource: string
  /** The client id that it names, in whatever case. */
  readonly clientId: string | undefined
  /** It names an identity in another way, by an object id or a resource id, and the agent knows none. */
  readonly namesOtherwise: boolean
}

export type ResourceAnswer =
  | { readonly ok: true; readonly resource: Resource; readonly token: ResourceToken }
  | { readonly ok: false; readonly refusal: AgentRefusal }

/** Answers programs, whatever shape they asked in. */
export type AnswerResource = (ask: ResourceAsk) => Promise<ResourceAnswer>

/** @param onFailure Told of what keeps a program from its token, with its cause. */
export function createAnswerResource(
  resources: readonly Resource[],
  tokens: ResourceTokens,
  onFailure: (error: ServiceError) => void,
): AnswerResource {
  const byResource = new Map(resources.map((one) => [one.resource, one]))
  return async (ask) => {
    const found = find(byResource, ask)
    if ('reason' in found) return { ok: false, refusal: found }
    try {
      return { ok: true, resource: found, token: await tokens.get(found) }
    } catch (error) {
      if (!(error instanceof ServiceError)) throw error
      onFailure(error)
      return { ok: false, refusal: { reason: 'service_failed', error } }
    }
  }
}

function find(
  byResource: ReadonlyMap<Scope, Resource>,
  { resource, clientId, namesOtherwise }: ResourceAsk,
): Resource | Extract<AgentRefusal, { reason: 'resource_unknown' | 'identity_unknown' }> {
  const scope = parseScope(`${resource}/.default`)
  const found = scope === undefined ? undefined : byResource.get(scope)
  if (found === undefined) return { reason: 'resource_unknown' }
  const isMeant = clientId === undefined || clientId.toLowerCase() === found.clientId
  return isMeant && !namesOtherwise ? found : { reason: 'identity_unknown' }
}
