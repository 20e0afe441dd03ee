import type { Clock } from '../base/clock.ts'
import type { FleetDrops } from './fleet-drops.ts'
import type { FleetFlights, Wanted } from './fleet-flights.ts'
import { refreshAtMs, type RefreshRules } from './refresh-time.ts'
import type { DueToken, TokenCache, TokenWish } from './token-cache.ts'

export interface FleetTokenCacheOptions extends RefreshRules {
  readonly memory: TokenCache
  readonly flights: FleetFlights
  readonly drops: Pick<FleetDrops, 'drop' | 'dropHere'>
  readonly clock: Clock
}

/** As in one process: how often challenges may force one key to be refreshed. */
const forcedEveryMs = 30_000

/** Tokens in this process, which are obtained once for all replicas. */
export function createFleetTokenCache(options: FleetTokenCacheOptions): TokenCache {
  const { memory, flights, drops, clock } = options

  const missed = (
    { key, grant, obtainedAfterSeconds }: TokenWish,
    keyId: string | undefined,
  ): Wanted => ({
    key,
    grant,
    keyId,
    forced: obtainedAfterSeconds !== undefined,
    accepts: ({ token, forced }, ageMs) =>
      obtainedAfterSeconds === undefined ||
      token.expiresAtSeconds - token.lifetimeSeconds > obtainedAfterSeconds ||
      (forced && ageMs < forcedEveryMs),
  })

  /** Not the one that is to be refreshed, which they have too, nor another one that is. */
  const due = ({ key, grant }: DueToken, keyId: string | undefined): Wanted => ({
    key,
    grant,
    keyId,
    forced: false,
    accepts: ({ token }) => clock.monotonicMs() < refreshAtMs(token, options, 0),
  })

  return {
    get: (wish) => memory.get(wish),
    obtain: (wish, keyId, fetch, patience) =>
      memory.obtain(wish, keyId, () => flights.obtain(missed(wish, keyId), fetch), patience),
    drop: (matches) => drops.drop(matches),
    dropHere: (matches) => drops.dropHere(matches),
    takeDue: () => memory.takeDue(),
    refresh: (token, keyId, fetch) =>
      memory.refresh(token, keyId, () => flights.obtain(due(token, keyId), fetch)),
    minRemainingSeconds: memory.minRemainingSeconds,
    get bytes() {
      return memory.bytes
    },
    get entries() {
      return memory.entries
    },
  }
}
