import { randomBytes, randomUUID } from 'node:crypto'
import { type EmulatorClock, isoFrom } from '../emulator-clock.ts'
import type { EmulatedReply, EmulatedRequest, EmulatedService } from '../exchange.ts'
import type { FaultWords } from '../fault-replies.ts'
import type { FaultList } from '../faults.ts'
import { jsonReply } from '../json-reply.ts'
import type { WorldPrincipal } from '../world.ts'
import { hasSource } from './identity-source.ts'
import { withFaults } from './metadata-answer.ts'
import { isMeant } from './named-identity.ts'
import type { IssuePrincipalToken } from './principal-tokens.ts'

/** What App Service puts into the environment of a program that has a managed identity. */
export interface AppServiceIdentity {
  /** `IDENTITY_ENDPOINT`. */
  readonly endpoint: string
  /** `IDENTITY_HEADER`: the secret that selects the principal. */
  readonly header: string
}

/**
 * The token endpoint that App Service, Functions and Container Apps give to programs, over plain http: in the
 * form of today, and in the older one (`MSI_ENDPOINT`, `MSI_SECRET`), which has the same address and secret.
 */
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

/** What one `api-version` does otherwise than the other. */
interface Generation {
  readonly secretHeader: string
  readonly clientId: string
  /** @param seconds Since the epoch. */
  readonly expiresOn: (seconds: number) => string
}

const generations: ReadonlyMap<string, Generation> = new Map([
  ['2019-08-01', { secretHeader: 'x-identity-header', clientId: 'client_id', expiresOn: String }],
  ['2017-09-01', { secretHeader: 'secret', clientId: 'clientid', expiresOn: dateTimeText }],
])

/** `10/22/2026 20:24:00 +00:00`. */
function dateTimeText(seconds: number): string {
  return isoFrom(seconds).replace(/^(\d+)-(\d\d)-(\d\d)T(.{8}).*$/, '$2/$3/$1 $4 +00:00')
}

export function createAppService(deps: AppServiceDeps): AppService {
  const identities = deps.principals
    .filter((principal) => hasSource(principal, 'app-service'))
    .map((principal) => ({ principal, header: randomBytes(16).toString('hex').toUpperCase() }))
  const serve = async (request: EmulatedRequest): Promise<EmulatedReply> => {
    if (request.path.replace(/\/$/, '') !== path) return errorReply(404, 'Not found.')
    const generation = generations.get(request.query.get('api-version') ?? '')
    const shown = request.headers[generation?.secretHeader ?? 'x-identity-header']
    const identity = identities.find(({ header }) => header === shown)
    if (identity === undefined) return errorReply(401, 'The identity header is missing or wrong.')
    if (generation === undefined) {
      const versions = [...generations.keys()].join(' or ')
      return errorReply(400, `The api-version must be ${versions}.`)
    }
    return tokenReply(identity.principal, request, generation, deps)
  }
  return {
    service: withFaults(deps.faults, faultWords, serve),
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
  generation: Generation,
  { issueToken, clock }: AppServiceDeps,
): Promise<EmulatedReply> {
  if (method !== 'GET') return errorReply(405, 'Only GET is supported.')
  const resource = query.get('resource')
  if (!resource) return errorReply(400, 'The resource parameter is missing.')
  const named = {
    clientId: query.get(generation.clientId),
    objectId: query.get('object_id'),
    resourceId: query.get('mi_res_id'),
  }
  if (!isMeant(principal, named)) {
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
    expires_on: generation.expiresOn(clock.nowSeconds() + expiresInSeconds),
    resource,
    token_type: 'Bearer',
    client_id: principal.clientId,
  })
}

const errorReply = (
  statusCode: number,
  message: string,
  headers: Readonly<Record<string, string>> = {},
) => jsonReply(statusCode, { statusCode, message, correlationId: randomUUID() }, headers)
