import { LRUCache } from 'lru-cache'
import { atLeastMsUntil, type Clock, type Instant } from '../base/clock.ts'
import type { ApplicationName, AttemptId, Scope, TenantId } from '../base/ids.ts'
import type { Secret } from '../base/secret.ts'

/**
 * What a token is for. Never who asks: the policy decides before every look-up. A key can only be
 * made with all of it.
 */
export interface TokenCacheKey {
  readonly application: ApplicationName
  readonly tenant: TenantId
  /** Normalised. */
  readonly scope: Scope
}

export interface CachedToken {
  readonly value: Secret<string>
  /** As the ledger says it. */
  readonly expiresAtSeconds: number
  /** The same end, as it is trusted here. */
  readonly expiry: Instant
  /** base64url SHA-256 of the token, as the ledger names it. */
  readonly sha256: string
  /** The attempt whose exchange obtained it. */
  readonly obtainedBy: AttemptId
}

/**
 * Access tokens in memory, bounded in bytes, least recently used first out.
 *
 * An answer lives at least `minRemainingSeconds` longer, unless it was obtained for this very call
 * and Entra gave it less. A failed {@link TokenCache.obtain} is remembered by nobody.
 */
export interface TokenCache {
  get(key: TokenCacheKey): CachedToken | undefined
  /**
   * Single flight: of all who call for one key while none has ended, the first one's `fetch` runs,
   * and all of them share how it ends.
   */
  obtain(key: TokenCacheKey, fetch: () => Promise<CachedToken>): Promise<CachedToken>
  /** Bytes that count against the bound. */
  readonly bytes: number
  readonly entries: number
}

export function createTokenCache(options: {
  readonly clock: Clock
  readonly bytesMax: number
  readonly minRemainingSeconds: number
}): TokenCache {
  const { clock, bytesMax, minRemainingSeconds } = options
  const tokens = new LRUCache<string, CachedToken>({
    maxSize: bytesMax,
    sizeCalculation: (token, key) => key.length + token.value.reveal().length + entryOverheadBytes,
  })
  const flights = new Map<string, Promise<CachedToken>>()
  const lastsLongEnough = (token: CachedToken) =>
    atLeastMsUntil(token.expiry, clock) >= minRemainingSeconds * 1000

  const fetchAndKeep = async (text: string, fetch: () => Promise<CachedToken>) => {
    const token = await fetch()
    if (lastsLongEnough(token)) tokens.set(text, token)
    return token
  }

  return {
    get: (key) => {
      const text = textFrom(key)
      const token = tokens.get(text)
      if (token === undefined || lastsLongEnough(token)) return token
      tokens.delete(text)
      return undefined
    },
    obtain: (key, fetch) => {
      const text = textFrom(key)
      const underWay = flights.get(text)
      if (underWay !== undefined) return underWay
      const flight = fetchAndKeep(text, fetch).finally(() => flights.delete(text))
      flights.set(text, flight)
      return flight
    },
    get bytes() {
      return tokens.calculatedSize
    },
    get entries() {
      return tokens.size
    },
  }
}

/** About what the map's slot, the entry's object and the headers of its strings take. */
const entryOverheadBytes = 400

/** None of the parts can hold a line feed: names, GUIDs and visible ASCII. */
const textFrom = (key: TokenCacheKey) => `${key.application}\n${key.tenant}\n${key.scope}`
