import { sha256Base64url } from '../base/sha256.ts'

/**
 * The signer names itself to the vault as `countersign/VERSION (signature-nonce NONCE)`; the vault's
 * log repeats it in `clientInfo`. The nonce is 16 random bytes in base64url.
 */
const nonceForm = /\(signature-nonce ([A-Za-z0-9_-]{22})\)/

/** The nonce in a User-Agent; undefined when there is none, as in everybody else's. */
export function parseSignatureNonce(clientInfo: string): string | undefined {
  return nonceForm.exec(clientInfo)?.[1]
}

/** What `signature.begun` keeps of it: SHA-256 over its 22 characters. */
export const signatureNonceSha256 = (nonce: string) => sha256Base64url(nonce)
