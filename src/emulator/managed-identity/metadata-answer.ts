import type { EmulatorClock } from '../emulator-clock.ts'
import type { EmulatedReply, EmulatedRequest, EmulatedService } from '../exchange.ts'
import { type FaultWords, replyAfter, replyInstead } from '../fault-replies.ts'
import type { FaultList } from '../faults.ts'
import { jsonReply } from '../json-reply.ts'
import type { WorldPrincipal } from '../world.ts'
import { isMeant } from './named-identity.ts'
import type { IssuePrincipalToken } from './principal-tokens.ts'

/** One principal's endpoint: whoever reaches it is that principal. */
export interface SourceDeps {
  readonly principal: WorldPrincipal
  readonly issueToken: IssuePrincipalToken
  readonly clock: EmulatorClock
  readonly faults: FaultList
}

/** Undefined when the request has the header that no browser and no careless proxy sends. */
export function refusedMetadata({ headers }: EmulatedRequest): EmulatedReply | undefined {
  if (headers['x-forwarded-for'] !== undefined) {
    return metadataError(400, 'invalid_request', 'Requests that were forwarded are not answered.')
  }
  if (headers['metadata']?.toString().toLowerCase() === 'true') return undefined
  const words = 'bad_request_102 Required metadata header not specified'
  return metadataError(400, 'invalid_request', words)
}

/** The answer of IMDS and of Azure Arc, in which every number is a text. */
export async function answerMetadata(
  query: URLSearchParams,
  { principal, issueToken, clock }: SourceDeps,
): Promise<EmulatedReply> {
  const resource = query.get('resource')
  if (!resource) {
    const words = "Required query variable 'resource' is missing"
    return metadataError(400, 'invalid_request', words)
  }
  const named = {
    clientId: query.get('client_id'),
    objectId: query.get('object_id'),
    resourceId: query.get('msi_res_id') ?? query.get('mi_res_id'),
  }
  if (!isMeant(principal, named)) return metadataError(400, 'invalid_request', 'Identity not found')
  const issued = await issueToken(principal, resource)
  if (!issued.ok) {
    const { code, text } = issued.refusal
    return metadataError(400, 'invalid_resource', `AADSTS${code}: ${text}`)
  }
  const { accessToken, expiresInSeconds } = issued.value
  return jsonReply(200, {
    access_token: accessToken,
    client_id: principal.clientId,
    // Clients that have named an identity take no answer that does not repeat it.
    ...echoed(query, ['object_id', 'msi_res_id']),
    expires_in: String(expiresInSeconds),
    expires_on: String(clock.nowSeconds() + expiresInSeconds),
    ext_expires_in: String(expiresInSeconds),
    not_before: String(clock.nowSeconds()),
    resource,
    token_type: 'Bearer',
  })
}

const echoed = (query: URLSearchParams, names: readonly string[]) =>
  Object.fromEntries(names.flatMap((name) => (query.has(name) ? [[name, query.get(name)]] : [])))

export const metadataError = (
  status: number,
  error: string,
  description: string,
  headers: Readonly<Record<string, string>> = {},
) => jsonReply(status, { error, error_description: description }, headers)

/** Strikes the faults of managed identities at a service. */
export function withFaults(
  faults: FaultList,
  words: FaultWords,
  serve: EmulatedService,
): EmulatedService {
  return async (request) => {
    const fault = faults.strike('managed-identity', `${request.method} ${request.path}`)
    if (fault?.kind === 'not-found') return words.serverError(404)
    if (fault?.kind === 'gone') return words.serverError(410)
    return replyInstead(fault, words) ?? replyAfter(fault, words, await serve(request))
  }
}

export const metadataFaultWords: FaultWords = {
  throttled: () =>
    metadataError(429, 'too_many_requests', 'Too many requests', { 'retry-after': '1' }),
  serverError: (status) => metadataError(status, 'server_error', 'Failed to retrieve token'),
}
