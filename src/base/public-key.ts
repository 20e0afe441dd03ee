import { createPublicKey, type KeyObject } from 'node:crypto'
import { isObject } from './json-object.ts'
import { parseJson } from './parse-json.ts'

/**
 * The public half of a key: of PEM (a key or a certificate), or of a JWK, also as `az keyvault key show` prints
 * it. Undefined for what is none, and for a private key, which is not to be where somebody verifies.
 */
export function parsePublicKey(text: string): KeyObject | undefined {
  if (/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(text)) return undefined
  return text.includes('-----BEGIN') ? fromPem(text) : fromJwk(text)
}

function fromPem(text: string): KeyObject | undefined {
  try {
    return createPublicKey(text)
  } catch {
    return undefined
  }
}

function fromJwk(text: string): KeyObject | undefined {
  const written = parseJson(text)
  if (!isObject(written)) return undefined
  // `az keyvault key show` has it as a member; its key type names who holds it, too.
  const { n, e, crv, x } = isObject(written['key']) ? written['key'] : written
  const jwk =
    crv === 'Ed25519'
      ? { kty: 'OKP', crv, x: base64url(x) }
      : { kty: 'RSA', n: base64url(n), e: base64url(e) }
  try {
    return createPublicKey({ key: jwk, format: 'jwk' })
  } catch {
    return undefined
  }
}

/** Azure's command line writes base64. */
const base64url = (value: unknown) =>
  typeof value === 'string' ? Buffer.from(value, 'base64').toString('base64url') : ''
