import { createSecretKey, randomBytes } from 'node:crypto'
import { sha256Base64url } from '../../src/base/sha256.ts'
import { createSealer } from '../../src/sealing/sealer.ts'
import {
  createFleetFlights,
  type FleetFlights,
  type ToldFailures,
} from '../../src/token-cache/fleet-flights.ts'
import {
  createSealedTokens,
  type RecordedExchange,
  type RowRefusal,
  type SealedTokens,
} from '../../src/token-cache/sealed-tokens.ts'
import type { SharedTokens } from '../../src/token-cache/shared-tokens.ts'
import { createFleetDrops, type FleetDrops } from '../../src/token-cache/fleet-drops.ts'
import { createMemoryTokenCache } from '../../src/token-cache/memory-token-cache.ts'
import type { CachedToken, TokenCache } from '../../src/token-cache/token-cache.ts'
import type { TokenKey } from '../../src/token-cache/token-key.ts'
import { obtainedToken, type TokenParts } from './cached-tokens.ts'
import type { FixedClock } from './fixed-clock.ts'
import { fixedClock } from './fixed-clock.ts'
import { createMemorySharedTokens } from './memory-shared-tokens.ts'

/** Replicas in this process that share what the test looks into. */
export interface Fleet {
  readonly clock: FixedClock
  readonly store: SharedTokens
  readonly leaseMs: number
  /** What the ledger says, by attempt; a test may add to it, or take from it. */
  readonly recorded: Map<string, RecordedExchange>
  readonly sealer: ReturnType<typeof createSealer>
  /** A token that was obtained now for the key, and recorded. */
  obtained(key: TokenKey, parts?: TokenParts): CachedToken
  replica(options?: ReplicaOptions): Replica
}

export interface ReplicaOptions {
  /** Its own view of the store; absent: the store. */
  readonly store?: SharedTokens
  /** Absent: the fleet's. */
  readonly clock?: FixedClock
  /** Whether its applications have a key version; absent: all of them. */
  readonly hasKey?: (keyId: string) => boolean
  /** Of its memory; absent: more than any test fills. */
  readonly bytesMax?: number
  /** How often it renews a lease, and looks while it waits; absent: so often that no test waits for it. */
  readonly everyMs?: number
  /** What it waits for when it looks into the ledger; absent: nothing. */
  readonly onLedger?: () => Promise<void>
}

export interface Replica {
  readonly flights: FleetFlights
  readonly tokens: SealedTokens
  readonly drops: FleetDrops
  readonly memory: TokenCache
  readonly refused: readonly RowRefusal[]
  /** Names of events, in order. */
  readonly seen: readonly string[]
}

/** A failure that is told, by its message, to whoever has the same key version. */
export class ToldFailure extends Error {
  override readonly name = 'ToldFailure'
}

const failures: ToldFailures = {
  textOf: (error, keyId = '') =>
    error instanceof ToldFailure ? `${error.message} ${keyId}` : undefined,
  errorFrom: (text, keyId) => {
    const [message, failed] = text.split(' ')
    return failed === (keyId ?? failed) ? new ToldFailure(message) : undefined
  },
}

export const refreshRules = { minRemainingSeconds: 300, refreshAheadSeconds: 1200 }

export function createFleet(): Fleet {
  const clock = fixedClock(1_790_000_000)
  const leaseMs = 8000
  const store = createMemorySharedTokens({ clock, leaseMs })
  const recorded = new Map<string, RecordedExchange>()
  const dataKey = {
    generation: 1,
    secret: createSecretKey(randomBytes(32)),
    createdAtSeconds: clock.nowSeconds(),
  }
  const sealer = createSealer({
    forSealing: () => Promise.resolve(dataKey),
    forOpening: (generation) => Promise.resolve(generation === 1 ? dataKey : undefined),
  })

  return {
    clock,
    store,
    leaseMs,
    recorded,
    sealer,
    obtained: (key, { text = `token ${recorded.size}`, ...parts } = {}) => {
      const token = {
        ...obtainedToken(clock, { text, ...parts }),
        sha256: sha256Base64url(text),
      }
      const { sha256: tokenSha256, expiresAtSeconds } = token
      const { application, tenant, scope } = key
      recorded.set(token.obtainedBy, {
        application,
        tenant,
        scope,
        tokenSha256,
        expiresAtSeconds,
      })
      return token
    },
    replica: (options = {}) => {
      const { bytesMax = 64 * 1024 * 1024, everyMs = 10, onLedger } = options
      const own = options.clock ?? clock
      const refused: RowRefusal[] = []
      const seen: string[] = []
      const see = (name: string) => () => void seen.push(name)
      const memory = createMemoryTokenCache({
        clock: own,
        bytesMax,
        ...refreshRules,
        onEvicted: see('evicted'),
      })
      const tokens = createSealedTokens({
        sealer,
        exchangesOf: async (attempt) => {
          await onLedger?.()
          const exchange = recorded.get(attempt)
          return exchange === undefined ? [] : [exchange]
        },
        clock: own,
        minRemainingSeconds: refreshRules.minRemainingSeconds,
        onRefused: (reason) => refused.push(reason),
      })
      const drops = createFleetDrops(memory, options.store ?? store, see('not-shared'))
      const flights = createFleetFlights({
        drops,
        hasKey: (_application, keyId) => options.hasKey?.(keyId) ?? true,
        store: options.store ?? store,
        tokens,
        failures,
        events: {
          sharedHit: see('hit'),
          sharedMiss: see('miss'),
          led: see('led'),
          joined: see('joined'),
          lost: see('lost'),
          notShared: see('not-shared'),
        },
        clock: own,
        renewEveryMs: everyMs,
        lookEveryMs: everyMs,
      })
      return { flights, tokens, drops, memory, refused, seen }
    },
  }
}
