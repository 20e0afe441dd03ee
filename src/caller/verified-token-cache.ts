import { LRUCache } from 'lru-cache'
import type { Caller } from './caller.ts'

/** A caller that was proven before, and what must still hold for that to count. */
export interface VerifiedToken {
  readonly caller: Caller
  readonly verifiedAtMs: number
  /** Length of the compact token: claims in memory are proportional to it. */
  readonly tokenCharacters: number
  /** Whether the key that verified it is still one of the issuer's. */
  readonly keyIsTrusted: () => boolean
}

/**
 * Callers whose tokens were verified a moment ago, by SHA-256 of the token. Nothing is found after
 * the token's `exp`, five minutes after it was verified, or once the issuer withdrew the key.
 */
export interface VerifiedTokenCache {
  find(tokenSha256: string, nowMs: number): Caller | undefined
  keep(token: VerifiedToken): void
}

export interface VerifiedTokenCacheLimits {
  readonly entriesMax: number
  readonly bytesMax: number
}

/** Ours: what the configuration says by now, and what an issuer took back, reaches every caller by then. */
const trustedMs = 5 * 60_000

/** Strings, claim objects and the entry itself: a little more than measured on tokens of 1.5 and 8 KiB. */
const bytesOf = ({ tokenCharacters }: VerifiedToken) => 512 + 2 * tokenCharacters

export function createVerifiedTokenCache({
  entriesMax,
  bytesMax,
}: VerifiedTokenCacheLimits): VerifiedTokenCache {
  const tokens = new LRUCache<string, VerifiedToken>({
    max: entriesMax,
    maxSize: bytesMax,
    sizeCalculation: bytesOf,
  })
  return {
    find: (tokenSha256, nowMs) => {
      const token = tokens.get(tokenSha256)
      if (token === undefined) return undefined
      if (isAlive(token, nowMs) && token.keyIsTrusted()) return token.caller
      tokens.delete(tokenSha256)
      return undefined
    },
    keep: (token) => {
      tokens.set(token.caller.tokenSha256, token)
    },
  }
}

/** A clock that went back makes an entry no younger. */
function isAlive({ caller, verifiedAtMs }: VerifiedToken, nowMs: number): boolean {
  const ageMs = nowMs - verifiedAtMs
  return ageMs >= 0 && ageMs < trustedMs && nowMs < caller.expiresAtSeconds * 1000
}
