import type { IncomingMessage } from 'node:http'
import { Secret } from '../base/secret.ts'

/**
 * The bearer token of a request (RFC 6750 §2.1); undefined when there is none, and for any other
 * scheme: what a caller sends there may be stronger than what it asks for, so it is not even read.
 */
export function bearerTokenOf(request: IncomingMessage): Secret<string> | undefined {
  const match = /^Bearer +([A-Za-z0-9._~+/-]+=*)$/i.exec(request.headers.authorization ?? '')
  return match?.[1] === undefined ? undefined : new Secret(match[1])
}
