import type { Dispatcher } from 'undici'
import { z } from 'zod'
import { connectionFailed } from '../base/connection-failure.ts'
import { withDeadline } from '../base/deadline.ts'
import { Secret } from '../base/secret.ts'
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
      const response = await dispatcher.request({
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
        signal,
      })
      const text = await boundedText(response.body)
      return {
        status: response.statusCode,
        traceId: headerOf(response.headers, 'x-ms-request-id')?.slice(0, 128),
        retryAfterSeconds: secondsFrom(headerOf(response.headers, 'retry-after')),
        body: parseJson(text),
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

async function boundedText(body: Dispatcher.ResponseData['body']): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of body as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > answerBytesMax) throw new TokenEndpointError('ENTRA_MALFORMED', 'unknown')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function headerOf(headers: Dispatcher.ResponseData['headers'], name: string): string | undefined {
  const value = headers[name]
  return typeof value === 'string' ? value : value?.[0]
}

/** Entra sends seconds; a date (RFC 9110 §10.2.3) is not taken, so that no clock need agree. */
function secondsFrom(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,5}$/.test(text) ? Number(text) : undefined
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    // The schemas below refuse what is not JSON, with a code of their own.
    return undefined
  }
}

function transportError(error: unknown): TokenEndpointError {
  if (error instanceof TokenEndpointError) return error
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

/**
 * `uti` for the ledger, which joins on it with Entra's sign-in log. The token is not ours to judge:
 * whatever has no readable claim is simply without one.
 */
function utiOf(accessToken: string): string | undefined {
  const payload = accessToken.split('.')[1]
  if (payload === undefined) return undefined
  const claims = parseJson(Buffer.from(payload, 'base64url').toString('utf8'))
  const parsed = z.object({ uti: wellFormed }).safeParse(claims)
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
  if (answer.status === 429) throw new TokenEndpointError('ENTRA_THROTTLED', 'no', facts)
  if (answer.status >= 500) throw new TokenEndpointError('ENTRA_UNAVAILABLE', 'unknown', facts)
  if (!parsed.success) throw new TokenEndpointError('ENTRA_MALFORMED', 'no', facts)
  throw new TokenEndpointError(codeFrom(errorCodes[0]), 'no', facts)
}

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
