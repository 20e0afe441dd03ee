import { randomUUID } from 'node:crypto'
import { isoFrom } from '../emulator-clock.ts'
import type { EmulatedReply, EmulatedRequest } from '../exchange.ts'
import { jsonReply } from '../json-reply.ts'
import { oauthErrorOf, type EntraRefusal } from './refusal.ts'

/** The ids that tie an answer to Entra's logs. */
export interface Trace {
  /** Also `x-ms-request-id`. */
  readonly traceId: string
  /** The client's own id where it sent one, else ours. */
  readonly correlationId: string
  readonly clientRequestId: string | undefined
  readonly echoesClientRequestId: boolean
  /** ISO 8601. */
  readonly time: string
}

const guid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

export function traceFrom({ headers, query }: EmulatedRequest, nowSeconds: number): Trace {
  const sent = headers['client-request-id'] ?? query.get('client-request-id')
  const clientRequestId = typeof sent === 'string' && guid.test(sent) ? sent : undefined
  return {
    traceId: randomUUID(),
    correlationId: clientRequestId ?? randomUUID(),
    clientRequestId,
    echoesClientRequestId: headers['return-client-request-id'] === 'true',
    time: isoFrom(nowSeconds),
  }
}

/** @param lifetime `refreshInSeconds`: present in answers with long-lived tokens. */
export const tokenReply = (
  trace: Trace,
  accessToken: string,
  lifetime: { readonly expiresInSeconds: number; readonly refreshInSeconds?: number },
) =>
  jsonReply(
    200,
    {
      token_type: 'Bearer',
      expires_in: lifetime.expiresInSeconds,
      ext_expires_in: lifetime.expiresInSeconds,
      ...(lifetime.refreshInSeconds === undefined ? {} : { refresh_in: lifetime.refreshInSeconds }),
      access_token: accessToken,
    },
    entraHeaders(trace, 0),
  )

/** @param origin Of the emulated Entra, for `error_uri`. */
export function errorReply(
  origin: string,
  trace: Trace,
  { code, text }: EntraRefusal,
  status: number = statusOf(code),
): EmulatedReply {
  const timestamp = trace.time.replace('T', ' ').replace(/\.\d+Z$/, 'Z')
  const { traceId, correlationId } = trace
  const description =
    `AADSTS${code}: ${text} Trace ID: ${traceId} Correlation ID: ${correlationId} ` +
    `Timestamp: ${timestamp}`
  const body = {
    error: oauthErrorOf(code),
    error_description: description,
    error_codes: [code],
    timestamp,
    trace_id: traceId,
    correlation_id: correlationId,
    error_uri: `${origin}/error?code=${code}`,
  }
  return jsonReply(status, body, entraHeaders(trace, code))
}

/**
 * The gateway's own answer, which is no JSON. Real ones say 60 seconds; one is enough to be honoured
 * without making everybody wait.
 */
export const throttledReply = (trace: Trace): EmulatedReply => ({
  kind: 'answer',
  status: 429,
  headers: { ...entraHeaders(trace, 0), 'content-type': 'text/plain', 'retry-after': '1' },
  body: Buffer.from('Too Many Requests'),
})

/** 401 where the client is not who it says, 400 for nearly everything else: the rule of all live samples. */
function statusOf(code: EntraRefusal['code']): number {
  if (code === 90055) return 429
  return oauthErrorOf(code) === 'invalid_client' ? 401 : 400
}

function entraHeaders(trace: Trace, code: number): Record<string, string | readonly string[]> {
  const { traceId, clientRequestId, echoesClientRequestId } = trace
  return {
    'cache-control': 'no-store, no-cache',
    pragma: 'no-cache',
    expires: '-1',
    'strict-transport-security': 'max-age=31536000; includeSubDomains',
    'x-content-type-options': 'nosniff',
    p3p: 'CP="DSP CUR OTPi IND OTRi ONL FIN"',
    'x-ms-request-id': traceId,
    'x-ms-ests-server': '2.1.0.0 - EMULATED',
    'x-ms-clitelem': `1,${code},0,,`,
    'set-cookie': [
      'fpc=emulated; path=/; secure; HttpOnly; SameSite=None',
      'x-ms-gateway-slice=estsfd; path=/; secure; httponly',
      'stsservicecookie=estsfd; path=/; secure; httponly',
    ],
    ...(echoesClientRequestId && clientRequestId !== undefined
      ? { 'client-request-id': clientRequestId }
      : {}),
  }
}
