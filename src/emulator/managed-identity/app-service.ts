import { randomBytes, randomUUID } from 'node:crypto'
import type { EmulatorClock } from '../emulator-clock.ts'
import type { EmulatedReply, EmulatedRequest, EmulatedService } from '../exchange.ts'
import { type FaultWords, replyAfter, replyInstead } from '../fault-replies.ts'
import type { FaultList } from '../faults.ts'
import { jsonReply } from '../json-reply.ts'
import type { WorldPrincipal } from '../world.ts'
import type { IssuePrincipalToken } from './principal-tokens.ts'

/** What App Service puts into the environment of a program that has a managed identity. */
export interface AppServiceIdentity {
  /** `IDENTITY_ENDPOINT`. */
  readonly endpoint: string
  /** `IDENTITY_HEADER`: the secret that selects the principal. */
  readonly header: string
}

/** The token endpoint that App Service, Functions and Container Apps give to programs, over plain http. */
export interface AppService {
  readonly service: EmulatedService
  /** By principal; an application that is no managed identity has none. */
  readonly identities: Readonly<Record<string, AppServiceIdentity>>
}

export interface AppServiceDeps {
  readonly origin: string
  readonly principals: readonly WorldPrincipal[]
  readonly issueToken: IssuePrincipalToken
  readonly clock: EmulatorClock
  readonly faults: FaultList
}

const path = '/msi/token'
const apiVersion = '2019-08-01'

export function createAppService(deps: AppServiceDeps): AppService {
  const identities = deps.principals
    .filter(({ kind }) => kind === 'managed-identity')
    .map((principal) => ({ principal, header: randomBytes(16).toString('hex').toUpperCase() }))
  const serve = async (request: EmulatedRequest): Promise<EmulatedReply> => {
    if (request.path.replace(/\/$/, '') !== path) return errorReply(404, 'Not found.')
    const identity = identities.find(
      ({ header }) => header === request.headers['x-identity-header'],
    )
    if (identity === undefined) return errorReply(401, 'The identity header is missing or wrong.')
    return tokenReply(identity.principal, request, deps)
  }
  return {
    service: async (request) => {
      const fault = deps.faults.strike('managed-identity', `${request.method} ${request.path}`)
      return replyInstead(fault, faultWords) ?? replyAfter(fault, faultWords, await serve(request))
    },
    identities: Object.fromEntries(
      identities.map(({ principal, header }) => [
        principal.name,
        { endpoint: `${deps.origin}${path}`, header },
      ]),
    ),
  }
}

const faultWords: FaultWords = {
  throttled: () => errorReply(429, 'Too many requests.', { 'retry-after': '1' }),
  serverError: (status) => errorReply(status, 'The service is unavailable.'),
}

async function tokenReply(
  principal: WorldPrincipal,
  { method, query }: EmulatedRequest,
  { issueToken, clock }: AppServiceDeps,
): Promise<EmulatedReply> {
  if (method !== 'GET') return errorReply(405, 'Only GET is supported.')
  if (query.get('api-version') !== apiVersion) {
    return errorReply(400, `The api-version must be ${apiVersion}.`)
  }
  const resource = query.get('resource')
  if (!resource) return errorReply(400, 'The resource parameter is missing.')
  if (!isMeant(principal, query)) {
    return errorReply(
      400,
      'No User Assigned or Delegated Managed Identity found for specified ' +
        'ClientId/ResourceId/PrincipalId.',
    )
  }
  const issued = await issueToken(principal, resource)
  if (!issued.ok) {
    const { code, text } = issued.refusal
    return errorReply(400, `AADSTS${code}: ${text}`)
  }
  const { accessToken, expiresInSeconds } = issued.value
  return jsonReply(200, {
    access_token: accessToken,
    expires_on: String(clock.nowSeconds() + expiresInSeconds),
    resource,
    token_type: 'Bearer',
    client_id: principal.clientId,
  })
}

/** A client may name the identity it wants; the header has already selected the one it can have. */
function isMeant({ clientId, objectId, name }: WorldPrincipal, query: URLSearchParams): boolean {
  const wanted = (parameter: string) => query.get(parameter)?.toLowerCase()
  const resourceId = wanted('mi_res_id')
  return (
    [undefined, clientId.toLowerCase()].includes(wanted('client_id')) &&
    [undefined, objectId.toLowerCase()].includes(wanted('object_id')) &&
    (resourceId === undefined || resourceId.endsWith(`/userassignedidentities/${name}`))
  )
}

const errorReply = (
  statusCode: number,
  message: string,
  headers: Readonly<Record<string, string>> = {},
) => jsonReply(statusCode, { statusCode, message, correlationId: randomUUID() }, headers)
