import { canonicalJson, type Json } from '../base/canonical-json.ts'
import { parseJson } from '../base/parse-json.ts'

/** A JWS (RFC 7515) in parts, before anybody has looked at what they say, or at its signature. */
export interface OwnJws {
  readonly header: unknown
  readonly payload: unknown
  /** ASCII of header and payload (RFC 7515 §5.1): what is signed. */
  readonly signingInput: string
  readonly signature: Uint8Array
}

/** Each member once and in order, so that whoever signs the same has the same bytes. */
export const signingInputFrom = (header: Json, payload: Json): string =>
  `${base64url(canonicalJson(header))}.${base64url(canonicalJson(payload))}`

export const compactFrom = (signingInput: string, signature: Uint8Array): string =>
  `${signingInput}.${Buffer.from(signature).toString('base64url')}`

/** @param compactMax Characters: what is longer is none. */
export function parseCompact(compact: string, compactMax: number): OwnJws | undefined {
  const match = /^(([\w-]+)\.([\w-]+))\.([\w-]+)$/.exec(compact.slice(0, compactMax + 1))
  const [whole, signingInput = '', header = '', payload = '', signature = ''] = match ?? []
  if (whole === undefined || whole.length > compactMax) return undefined
  return {
    header: jsonIn(header),
    payload: jsonIn(payload),
    signingInput,
    signature: Buffer.from(signature, 'base64url'),
  }
}

const jsonIn = (part: string) => parseJson(Buffer.from(part, 'base64url').toString())

const base64url = (text: string) => Buffer.from(text).toString('base64url')
