import { LRUCache } from 'lru-cache'
import {
  atLeastMsUntil,
  atMostMsSince,
  type Clock,
  type Instant,
  instantNow,
  laterBy,
} from '../base/clock.ts'
import type { Caller } from './caller.ts'

/** A caller that was proven before, and what must still hold for that to count. */
export interface VerifiedToken {
  readonly caller: Caller
  /** Length of the compact token: claims in memory are proportional to it. */
  readonly tokenCharacters: number
  /** Whether the key that verified it is still one of the issuer's. */
  readonly keyIsTrusted: () => boolean
}

/**
 * Callers whose tokens were verified a moment ago, by SHA-256 of the token. Nothing is found after
 * the token's `exp`, five minutes after it was verified, or once the issuer withdrew the key; a wall
 * clock that is set prolongs none of it.
 */
export interface VerifiedTokenCache {
  find(tokenSha256: string): Caller | undefined
  /** At once after it was verified. */
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

interface KeptToken extends VerifiedToken {
  readonly verifiedAt: Instant
  readonly expiry: Instant
}

export function createVerifiedTokenCache(
  { entriesMax, bytesMax }: VerifiedTokenCacheLimits,
  clock: Clock,
): VerifiedTokenCache {
  const tokens = new LRUCache<string, KeptToken>({
    max: entriesMax,
    maxSize: bytesMax,
    sizeCalculation: bytesOf,
  })
  return {
    find: (tokenSha256) => {
      const token = tokens.get(tokenSha256)
      if (token === undefined) return undefined
      if (isAlive(token, clock) && token.keyIsTrusted()) return token.caller
      tokens.delete(tokenSha256)
      return undefined
    },
    keep: (token) => {
      const verifiedAt = instantNow(clock)
      const { tokenSha256, expiresAtSeconds } = token.caller
      const expiry = laterBy(expiresAtSeconds * 1000 - verifiedAt.ms, verifiedAt)
      tokens.set(tokenSha256, { ...token, verifiedAt, expiry })
    },
  }
}

const isAlive = ({ verifiedAt, expiry }: KeptToken, clock: Clock) =>
  atMostMsSince(verifiedAt, clock) < trustedMs && atLeastMsUntil(expiry, clock) > 0
