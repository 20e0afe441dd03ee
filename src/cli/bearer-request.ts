import { isLoopback } from '../base/loopback.ts'
import type { Secret } from '../base/secret.ts'

/**
 * Where a token may be sent: https, or http that stays on this machine.
 *
 * @param name What messages call it; they never repeat a text that is no URL.
 * @throws Error in one sentence.
 */
export function parseBearerUrl(text: string, name: string): URL {
  const url = URL.parse(text)
  if (url === null) throw new Error(`${name} is not a URL`)
  if (url.username !== '' || url.password !== '') {
    throw new Error(`${name} must not hold a name or a password`)
  }
  if (url.protocol === 'https:') return url
  if (url.protocol === 'http:' && isLoopback(url.hostname)) return url
  throw new Error(`${name} must be https, or http on loopback: a token is sent there`)
}

export interface BearerRequest {
  readonly method: 'GET' | 'POST' | 'DELETE'
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string
  readonly timeoutMs: number
}

/**
 * Sends a token to a URL, and to no other: a redirect is not followed.
 *
 * @throws Error in one sentence that names where it was sent, without query or token, when no answer comes.
 */
export async function sendBearer(
  url: URL,
  token: Secret<string>,
  { timeoutMs, headers, ...request }: BearerRequest,
): Promise<Response> {
  // What fetch says of a header that it cannot send repeats the header.
  if (!/^[\x21-\x7e]+$/.test(token.reveal())) {
    throw new Error(
      'the token to send is empty, or holds a space, a line break or another such sign',
    )
  }
  try {
    return await fetch(url, {
      ...request,
      headers: { ...headers, authorization: `Bearer ${token.reveal()}` },
      signal: AbortSignal.timeout(timeoutMs),
      redirect: 'error',
    })
  } catch (error) {
    throw new Error(`no answer from ${url.origin}${url.pathname} (${causeOf(error)})`, {
      cause: error,
    })
  }
}

/** fetch itself says only that it failed; why is one error further down. */
function causeOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown cause'
  const { cause } = error
  if (!(cause instanceof Error)) return error.name
  return 'code' in cause && typeof cause.code === 'string' ? cause.code : cause.message
}
