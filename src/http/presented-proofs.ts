import type { IncomingMessage } from 'node:http'
import { Secret } from '../base/secret.ts'
import type { PresentedProofs, PresentedToken } from '../caller/caller.ts'
import { clientCertificateOf } from './client-certificate.ts'

/**
 * Everything in a request that may prove somebody, with what its connection showed. Nothing where
 * `Authorization` is there and no token of ours: a certificate must not answer for what was meant otherwise.
 */
export function presentedProofsOf(request: IncomingMessage): PresentedProofs {
  const token = tokenOf(request)
  if (token === undefined && request.headers.authorization !== undefined) {
    return { target: targetOf(request) }
  }
  return proofsWith(token, request)
}

/**
 * The same of a request without `Authorization`, whose token is a parameter of its body. Behind it there may
 * be the line break that files end with, and that clients send with the file.
 *
 * @param text Of the token; undefined when there is none.
 */
export function proofsWithParameter(
  text: string | undefined,
  request: IncomingMessage,
): PresentedProofs {
  if (text === undefined) return proofsWith(undefined, request)
  return proofsWith({ scheme: 'Bearer', text: new Secret(text.replace(/\r?\n$/, '')) }, request)
}

function proofsWith(token: PresentedToken | undefined, request: IncomingMessage): PresentedProofs {
  const { dpop } = request.headers
  return {
    target: targetOf(request),
    token,
    dpopProof: typeof dpop === 'string' ? dpop : undefined,
    certificate: clientCertificateOf(request.socket),
  }
}

function targetOf({ method = '', url = '' }: IncomingMessage): PresentedProofs['target'] {
  const end = url.indexOf('?')
  return { method, path: end === -1 ? url : url.slice(0, end) }
}

/**
 * The token of a request (RFC 6750 §2.1, RFC 9449 §7.1); undefined when there is none, and for any other
 * scheme: what a caller sends there may be stronger than what it asks for, so it is not even read.
 * Two of them prove nobody: Node would take the first, and a proxy before us may have looked at the last.
 */
function tokenOf(request: IncomingMessage): PresentedToken | undefined {
  if (authorizationHeadersIn(request) > 1) return undefined
  const { authorization = '' } = request.headers
  const start = /^(?:Bearer|DPoP) +/i.exec(authorization)?.[0]
  if (start === undefined) return undefined
  const text = authorization.slice(start.length)
  if (notInTokens.some((character) => text.includes(character))) return undefined
  return { scheme: /^d/i.test(start) ? 'DPoP' : 'Bearer', text: new Secret(text) }
}

/**
 * Lists, parameters and quoted strings are told by these. Every other character is left to whoever
 * proves the caller, who looks only at a token that was not proven before.
 */
const notInTokens = [' ', '\t', ',', '"']

/** Names and values stand there in turns. */
function authorizationHeadersIn({ rawHeaders }: IncomingMessage): number {
  let count = 0
  for (let at = 0; at < rawHeaders.length; at += 2) if (isAuthorization(rawHeaders[at])) count += 1
  return count
}

const isAuthorization = (name = '') =>
  name.length === 'authorization'.length && name.toLowerCase() === 'authorization'
