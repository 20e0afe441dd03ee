import type { TokenFault } from './caller.ts'
import { parseStrictJsonObject, type StrictJsonObject } from './strict-json.ts'

/** A JWT in compact form, taken apart and not yet believed. */
export interface CompactToken {
  readonly header: TokenHeader
  /** Not sealed yet: that is done for those who are proven. */
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

/** Entra's largest tokens are near 8 KiB. */
export const tokenCharactersMax = 16 * 1024

/**
 * `crit` and `b64` change what is signed (RFC 7797); the others bring the key to verify with, and the
 * only keys that count are the issuer's.
 */
const refusedHeaderMembers = ['crit', 'b64', 'jku', 'jwk', 'x5u']

/**
 * `typ`, lower case: `JWT`, `JOSE` of JWT-SVIDs, which says no more, and RFC 9068's access tokens, which
 * are meant for APIs like this one. Assertions, logout tokens, DPoP proofs and events name themselves otherwise.
 */
const acceptedTypes = ['jwt', 'jose', 'at+jwt', 'application/at+jwt']

/** Takes a JWT of at most {@link tokenCharactersMax} apart. Pure, and total: any string has an answer. */
export function parseCompactToken(text: string): ParsedToken {
  const apart = takeApart(text)
  if (!apart.ok) return apart
  const claims = parseStrictJsonObject(apart.payload)
  if (!claims.ok) return claims
  return { ok: true, token: { header: apart.header, claims: claims.object } }
}

export type TakenApart =
  | { readonly ok: true; readonly header: TokenHeader; readonly payload: Uint8Array }
  | { readonly ok: false; readonly fault: TokenFault }

/** The compact JWS around the claims (RFC 7515 §7.1), whatever its payload is. */
export function takeApart(text: string): TakenApart {
  const parts = compactParts(text)
  if (!parts.ok) return parts
  const fault = headerFault(parts.header)
  if (fault !== undefined) return { ok: false, fault }
  return { ok: true, header: headerFrom(parts.header), payload: parts.payload }
}

export type CompactParts =
  | { readonly ok: true; readonly header: StrictJsonObject; readonly payload: Uint8Array }
  | { readonly ok: false; readonly fault: TokenFault }

/** The same, whatever its header says. */
export function compactParts(text: string): CompactParts {
  const parts = text.split('.', 4)
  const [headerPart, payloadPart, signaturePart] = parts
  if (parts.length !== 3 || !headerPart || !payloadPart || !signaturePart) {
    return { ok: false, fault: 'not three parts' }
  }
  if (!parts.every(isBase64url)) return { ok: false, fault: 'not base64url' }
  const header = parseStrictJsonObject(Buffer.from(headerPart, 'base64url'))
  if (!header.ok) return header
  return { ok: true, header: header.object, payload: Buffer.from(payloadPart, 'base64url') }
}

/** Exactly the form that encoding gives: no padding, no other alphabet, no bits left over. */
const isBase64url = (part: string) => Buffer.from(part, 'base64url').toString('base64url') === part

function headerFault(header: StrictJsonObject): TokenFault | undefined {
  if (refusedHeaderMembers.some((name) => Object.hasOwn(header, name)))
    return 'a refused header member'
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
