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
  /** The compact token. */
  readonly text: string
  /** Whether the key that verified it is still one of the issuer's. */
  readonly keyIsTrusted: () => boolean
}

/**
 * Callers whose tokens were verified a moment ago, by the whole token: a hash of it would cost each
 * request more than all the rest of proving a known caller, and whoever reads this memory reads the
 * tokens that we give, which open more. Nothing is found after the token's `exp`, five minutes after
 * it was verified, or once the issuer withdrew the key; a wall clock that is set prolongs none of it.
 */
export interface VerifiedTokenCache {
  find(text: string): Caller | undefined
  /** At once after it was verified. */
  keep(token: VerifiedToken): void
}

export interface VerifiedTokenCacheLimits {
  readonly entriesMax: number
  readonly bytesMax: number
}

/** Ours: what the configuration says by now, and what an issuer took back, reaches every caller by then. */
const trustedMs = 5 * 60_000

/** Text, claim objects and the entry itself: a little more than measured on tokens of 1.5 and 8 KiB. */
const bytesOf = ({ text }: VerifiedToken) => 512 + 3 * text.length

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
    find: (text) => {
      const token = tokens.get(text)
      if (token === undefined) return undefined
      if (isAlive(token, clock) && token.keyIsTrusted()) return token.caller
      tokens.delete(text)
      return undefined
    },
    keep: (token) => {
      const verifiedAt = instantNow(clock)
      const expiry = laterBy(token.caller.expiresAtSeconds * 1000 - verifiedAt.ms, verifiedAt)
      tokens.set(token.text, { ...token, verifiedAt, expiry })
    },
  }
}

const isAlive = ({ verifiedAt, expiry }: KeptToken, clock: Clock) =>
  atMostMsSince(verifiedAt, clock) < trustedMs && atLeastMsUntil(expiry, clock) > 0
