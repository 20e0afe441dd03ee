import { hash } from 'node:crypto'

/** base64url of SHA-256: how the ledger and the cache name what they must not hold. */
export function sha256Base64url(data: string | Uint8Array): string {
  return hash('sha256', data, 'base64url')
}
