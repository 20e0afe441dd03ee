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

/**
 * The header that a token goes in.
 *
 * @throws Error in one sentence for a text that no header can hold.
 */
export function authorizationWith(
  scheme: 'Bearer' | 'DPoP',
  token: Secret<string>,
): { readonly authorization: string } {
  if (!/^[\x21-\x7e]+$/.test(token.reveal())) {
    throw new Error(
      'the token to send is empty, or holds a space, a line break or another such sign',
    )
  }
  return { authorization: `${scheme} ${token.reveal()}` }
}
