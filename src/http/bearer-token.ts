import type { IncomingMessage } from 'node:http'
import { Secret } from '../base/secret.ts'

/**
 * The bearer token of a request (RFC 6750 §2.1); undefined when there is none, and for any other
 * scheme: what a caller sends there may be stronger than what it asks for, so it is not even read.
 * Two proofs prove nobody: Node would take the first, and a proxy before us may have looked at the
 * last.
 */
export function bearerTokenOf(request: IncomingMessage): Secret<string> | undefined {
  if (authorizationHeadersIn(request) > 1) return undefined
  const match = /^Bearer +([A-Za-z0-9._~+/-]+=*)$/i.exec(request.headers.authorization ?? '')
  return match?.[1] === undefined ? undefined : new Secret(match[1])
}

const authorizationHeadersIn = ({ rawHeaders }: IncomingMessage) =>
  rawHeaders.filter((text, index) => index % 2 === 0 && isAuthorization(text)).length

const isAuthorization = (name: string) =>
  name.length === 'authorization'.length && name.toLowerCase() === 'authorization'
