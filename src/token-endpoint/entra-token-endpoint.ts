import type { IncomingHttpHeaders } from 'node:http'
import type { Dispatcher } from 'undici'
import { z } from 'zod'
import { connectionFailed } from '../base/connection-failure.ts'
import { withDeadline } from '../base/deadline.ts'
import { parseJson } from '../base/parse-json.ts'
import { Secret } from '../base/secret.ts'
import { AnswerTooLong, parseRetryAfter, wholeAnswer } from '../base/whole-answer.ts'
import {
  type AccessToken,
  type ExchangeRequest,
  type TokenEndpoint,
  TokenEndpointError,
  type TokenEndpointErrorCode,
} from './token-endpoint.ts'

const assertionType = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'

/**
 * Says that whoever uses the token can handle claims challenges (continuous access evaluation): all
 * that is ever asked for with `claims`, whatever a caller sent.
 */
const capabilityClaims = '{"access_token":{"xms_cc":{"values":["cp1"]}}}'

/** Tokens are a few KiB; nothing that Entra sends here is near this. */
const answerBytesMax = 256 * 1024

/**
 * Entra's v2 token endpoint, one POST per exchange.
 *
 * @param authority Origin of the cloud's authority host, such as `https://login.microsoftonline.com`.
 * @see "Microsoft identity platform and the OAuth 2.0 client credentials flow"
 */
export function createEntraTokenEndpoint(authority: string, dispatcher: Dispatcher): TokenEndpoint {
  const pathOf = (tenantId: string) => `/${tenantId}/oauth2/v2.0/token`
  return {
    urlOf: (tenantId) => authority + pathOf(tenantId),
    exchange: async (request) => {
      const answer = await post(dispatcher, authority, pathOf(request.tenantId), request)
      return answer.status === 200 ? accessTokenFrom(answer) : refuse(answer)
    },
  }
}

interface Answer {
  readonly status: number
  readonly traceId: string | undefined
  readonly retryAfterSeconds: number | undefined
  /** The parsed body; undefined when it is no JSON. */
  readonly body: unknown
}

async function post(
  dispatcher: Dispatcher,
  origin: string,
  path: string,
  request: ExchangeRequest,
): Promise<Answer> {
  try {
    return await withDeadline(request.timeoutMs, async (signal) => {
      const order = {
        origin,
        path,
        method: 'POST',
        headers: {
          accept: 'application/json',
          'content-type': 'application/x-www-form-urlencoded',
          'client-request-id': request.exchangeId,
          'return-client-request-id': 'true',
        },
        body: formOf(request),
      } as const
      const { status, headers, body } = await wholeAnswer(dispatcher, order, {
        signal,
        bytesMax: answerBytesMax,
      })
      return {
        status,
        traceId: headerOf(headers, 'x-ms-request-id')?.slice(0, 128),
        retryAfterSeconds: parseRetryAfter(headers['retry-after']),
        body: parseJson(body.toString('utf8')),
      }
    })
  } catch (error) {
    throw transportError(error)
  }
}

function formOf(request: ExchangeRequest): string {
  return new URLSearchParams({
    grant_type: 'client_credentials',
    client_id: request.clientId,
    scope: request.scope,
    client_assertion_type: assertionType,
    client_assertion: request.assertion.reveal(),
    ...(request.life === 'long-lived' ? { claims: capabilityClaims } : {}),
  }).toString()
}

function headerOf(headers: IncomingHttpHeaders, name: string): string | undefined {
  const value = headers[name]
  return typeof value === 'string' ? value : value?.[0]
}

function transportError(error: unknown): TokenEndpointError {
  if (error instanceof AnswerTooLong) return new TokenEndpointError('ENTRA_MALFORMED', 'unknown')
  if (error instanceof Error && (error.name === 'TimeoutError' || error.name === 'AbortError')) {
    return new TokenEndpointError('ENTRA_TIMEOUT', 'unknown', { cause: error })
  }
  const applied = connectionFailed(error) ? 'no' : 'unknown'
  return new TokenEndpointError('ENTRA_UNAVAILABLE', applied, { cause: error })
}

/** Ids go into the ledger, whose canonical form has no place for lone surrogates. */
const wellFormed = z
  .string()
  .max(64)
  .refine((text) => text.isWellFormed())

/** Numbers on v2; strings on v1 and from some proxies. */
const tokenAnswerSchema = z.object({
  access_token: z.string().min(1),
  token_type: z.string().regex(/^bearer$/i),
  expires_in: z.coerce.number().int().positive(),
  refresh_in: z.coerce.number().int().positive().optional().catch(undefined),
})

function accessTokenFrom(answer: Answer): AccessToken {
  const parsed = tokenAnswerSchema.safeParse(answer.body)
  if (!parsed.success) {
    throw new TokenEndpointError('ENTRA_MALFORMED', 'unknown', { traceId: answer.traceId })
  }
  return {
    value: new Secret(parsed.data.access_token),
    expiresInSeconds: parsed.data.expires_in,
    refreshInSeconds: parsed.data.refresh_in,
    traceId: answer.traceId,
    uti: utiOf(parsed.data.access_token),
  }
}

const tokenClaimsSchema = z.object({ uti: wellFormed })

/**
 * `uti` for the ledger, which joins on it with Entra's sign-in log. The token is not ours to judge:
 * whatever has no readable claim is simply without one.
 */
function utiOf(accessToken: string): string | undefined {
  const payload = accessToken.split('.')[1]
  if (payload === undefined) return undefined
  const claims = parseJson(Buffer.from(payload, 'base64url').toString('utf8'))
  const parsed = tokenClaimsSchema.safeParse(claims)
  return parsed.success ? parsed.data.uti : undefined
}

const errorAnswerSchema = z.object({
  error: z.string(),
  error_codes: z.array(z.int()).max(16).optional(),
  trace_id: wellFormed.optional(),
})

function refuse(answer: Answer): never {
  const parsed = errorAnswerSchema.safeParse(answer.body)
  const errorCodes = parsed.data?.error_codes ?? []
  const facts = {
    errorCodes,
    traceId: answer.traceId ?? parsed.data?.trace_id,
    retryAfterSeconds: answer.retryAfterSeconds,
  }
  const { status } = answer
  // Documented by its status alone: it has a body or none.
  if (status === 429) throw new TokenEndpointError('ENTRA_THROTTLED', 'no', facts)
  if (status >= 500) throw new TokenEndpointError('ENTRA_UNAVAILABLE', 'unknown', facts)
  if (gaveUp.has(status)) throw new TokenEndpointError('ENTRA_TIMEOUT', 'unknown', facts)
  // In another form than Entra's it is somebody else's answer, who may not know what Entra has issued.
  if (!parsed.success || status < 400) {
    throw new TokenEndpointError('ENTRA_MALFORMED', 'unknown', facts)
  }
  throw new TokenEndpointError(codeFrom(errorCodes[0]), 'no', facts)
}

/** Of whoever has waited for somebody else, as some proxies say 499, and cannot tell what was done meanwhile. */
const gaveUp: ReadonlySet<number> = new Set([408, 499])

const codeFrom = (number: number | undefined): TokenEndpointErrorCode =>
  (number === undefined ? undefined : entraCodes.get(number)) ?? 'ENTRA_REFUSED'

/** "Microsoft Entra authentication and authorization error codes"; the text of an error is never read. */
const entraCodes = new Map<number, TokenEndpointErrorCode>([
  [700027, 'ENTRA_CERTIFICATE_UNKNOWN'],
  [700030, 'ENTRA_CERTIFICATE_UNKNOWN'],
  [7000214, 'ENTRA_CERTIFICATE_INVALID'],
  [7000274, 'ENTRA_CERTIFICATE_INVALID'],
  [7000277, 'ENTRA_CERTIFICATE_INVALID'],
  [1000502, 'ENTRA_CERTIFICATE_INVALID'],
  [700024, 'ENTRA_ASSERTION_EXPIRED'],
  [700021, 'ENTRA_ASSERTION_REFUSED'],
  [700023, 'ENTRA_ASSERTION_REFUSED'],
  [50027, 'ENTRA_ASSERTION_REFUSED'],
  [5002723, 'ENTRA_ASSERTION_REFUSED'],
  [5002727, 'ENTRA_ASSERTION_REFUSED'],
  [5002738, 'ENTRA_ASSERTION_REFUSED'],
  [50012, 'ENTRA_ASSERTION_REFUSED'],
  [700016, 'ENTRA_APPLICATION_ABSENT'],
  [700011, 'ENTRA_APPLICATION_DISABLED'],
  [7000112, 'ENTRA_APPLICATION_DISABLED'],
  [90002, 'ENTRA_TENANT_UNKNOWN'],
  [900023, 'ENTRA_TENANT_UNKNOWN'],
  [500011, 'ENTRA_RESOURCE_ABSENT'],
  [501051, 'ENTRA_ROLE_MISSING'],
  [70011, 'ENTRA_SCOPE_REFUSED'],
  [1002012, 'ENTRA_SCOPE_REFUSED'],
  [28002, 'ENTRA_SCOPE_REFUSED'],
  [700022, 'ENTRA_SCOPE_REFUSED'],
  [53003, 'ENTRA_POLICY_BLOCKED'],
  [50196, 'ENTRA_THROTTLED'],
  [90055, 'ENTRA_THROTTLED'],
])
