import type { TokenFault } from './caller.ts'
import { parseStrictJsonObject, type StrictJsonObject } from './strict-json.ts'

/** A JWT in compact form, taken apart and not yet believed. */
export interface CompactToken {
  readonly header: TokenHeader
  readonly claims: StrictJsonObject
}

/** What of the JOSE header is looked at; absent when it is not there or not a string. */
export interface TokenHeader {
  readonly alg?: string
  readonly kid?: string
}

export type ParsedToken =
  | { readonly ok: true; readonly token: CompactToken }
  | { readonly ok: false; readonly fault: TokenFault }

/** Entra's largest tokens are near 8 KiB; Node refuses request headers beyond 16 KiB altogether. */
export const tokenCharactersMax = 16 * 1024

/**
 * `crit` and `b64` change what is signed (RFC 7797); the others bring the key to verify with, and the
 * only keys that count are the issuer's.
 */
const refusedHeaderMembers = ['crit', 'b64', 'jku', 'jwk', 'x5u']

/**
 * `typ`, lower case: `JWT`, and RFC 9068's access tokens, which are meant for APIs like this one.
 * Assertions, logout tokens, DPoP proofs and events name themselves otherwise.
 */
const acceptedTypes = ['jwt', 'at+jwt', 'application/at+jwt']

/** Takes a token apart. Pure, and total: any string has an answer. */
export function parseCompactToken(text: string): ParsedToken {
  if (text.length > tokenCharactersMax) return { ok: false, fault: 'too long' }
  const parts = text.split('.', 4)
  const [headerPart, payloadPart, signaturePart] = parts
  if (parts.length !== 3 || !headerPart || !payloadPart || !signaturePart) {
    return { ok: false, fault: 'not three parts' }
  }
  if (![headerPart, payloadPart, signaturePart].every(isBase64url)) {
    return { ok: false, fault: 'not base64url' }
  }
  const header = parseStrictJsonObject(Buffer.from(headerPart, 'base64url'))
  if (!header.ok) return header
  const fault = headerFault(header.object)
  if (fault !== undefined) return { ok: false, fault }
  const payload = parseStrictJsonObject(Buffer.from(payloadPart, 'base64url'))
  if (!payload.ok) return payload
  return { ok: true, token: { header: headerFrom(header.object), claims: payload.object } }
}

/** Exactly the form that encoding gives: no padding, no other alphabet, no bits left over. */
const isBase64url = (part: string) => Buffer.from(part, 'base64url').toString('base64url') === part

function headerFault(header: StrictJsonObject): TokenFault | undefined {
  if (refusedHeaderMembers.some((name) => name in header)) return 'a refused header member'
  const { typ } = header
  if (typ === undefined) return undefined
  const accepted = typeof typ === 'string' && acceptedTypes.includes(typ.toLowerCase())
  return accepted ? undefined : 'another type'
}

function headerFrom({ alg, kid }: StrictJsonObject): TokenHeader {
  return {
    ...(typeof alg === 'string' ? { alg } : {}),
    ...(typeof kid === 'string' ? { kid } : {}),
  }
}
