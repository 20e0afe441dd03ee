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
  const { authorization = '' } = request.headers
  const scheme = /^Bearer +/i.exec(authorization)?.[0]
  if (scheme === undefined) return undefined
  const token = authorization.slice(scheme.length)
  return notInTokens.some((character) => token.includes(character)) ? undefined : new Secret(token)
}

/**
 * Lists, parameters and quoted strings are told by these. Every other character is left to whoever
 * proves the caller, who looks only at a token that was not proven before.
 */
const notInTokens = [' ', '\t', ',', '"']

const authorizationHeadersIn = ({ rawHeaders }: IncomingMessage) =>
  rawHeaders.filter((text, index) => index % 2 === 0 && isAuthorization(text)).length

const isAuthorization = (name: string) =>
  name.length === 'authorization'.length && name.toLowerCase() === 'authorization'
