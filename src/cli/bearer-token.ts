import type { Secret } from '../base/secret.ts'

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
