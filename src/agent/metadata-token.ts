import type { Clock } from '../base/clock.ts'
import { wordsOf } from './agent-refusal.ts'
import type { AnswerResource, ResourceAnswer } from './resources.ts'
import { onlyValue, retryAfter, type ShapeAnswer, type ShapeRequest } from './shape.ts'

/**
 * What IMDS, Azure Arc and Cloud Shell have in common: the answers, with texts for numbers, and the header that
 * a page in a browser or a careless proxy does not send.
 */

/** Undefined when the request may be one of a program. */
export function refusedMetadata({ headers }: ShapeRequest): ShapeAnswer | undefined {
  if (headers['x-forwarded-for'] !== undefined) {
    return metadataError(400, 'invalid_request', 'Requests that came through a proxy are refused.')
  }
  if (String(headers['metadata']).toLowerCase() === 'true') return undefined
  const words = 'bad_request_102 Required metadata header not specified'
  return metadataError(400, 'invalid_request', words)
}

export async function answerMetadata(
  parameters: URLSearchParams,
  answerResource: AnswerResource,
  clock: Clock,
): Promise<ShapeAnswer> {
  const resource = onlyValue(parameters, 'resource')
  if (resource === undefined) {
    return metadataError(400, 'invalid_request', 'The resource parameter is missing.')
  }
  const outcome = await answerResource({
    resource,
    clientId: parameters.get('client_id') ?? undefined,
    namesOtherwise: ['object_id', 'msi_res_id', 'mi_res_id'].some((name) => parameters.has(name)),
  })
  return outcome.ok ? given(resource, outcome, clock.nowSeconds()) : refusedAs(outcome)
}

function given(
  resource: string,
  { token, resource: { clientId } }: Extract<ResourceAnswer, { ok: true }>,
  nowSeconds: number,
): ShapeAnswer {
  const expiresIn = String(Math.max(token.expiresAtSeconds - nowSeconds, 0))
  return {
    status: 200,
    body: {
      access_token: token.value.reveal(),
      // Clients that name an identity take no answer that does not repeat it.
      ...(clientId === undefined ? {} : { client_id: clientId }),
      expires_in: expiresIn,
      expires_on: String(token.expiresAtSeconds),
      ext_expires_in: expiresIn,
      not_before: String(nowSeconds),
      resource,
      token_type: 'Bearer',
    },
  }
}

function refusedAs({ refusal }: Extract<ResourceAnswer, { ok: false }>): ShapeAnswer {
  const { status, message, retryAfterSeconds } = wordsOf(refusal)
  const error = refusal.reason === 'resource_unknown' ? 'invalid_resource' : errorWords[status]
  return metadataError(status, error, message, retryAfter(retryAfterSeconds))
}

const errorWords = {
  400: 'invalid_request',
  403: 'unauthorized_client',
  429: 'too_many_requests',
  502: 'server_error',
  503: 'temporarily_unavailable',
} as const

export const metadataError = (
  status: number,
  error: string,
  description: string,
  headers: Readonly<Record<string, string>> = {},
): ShapeAnswer => ({ status, headers, body: { error, error_description: description } })
