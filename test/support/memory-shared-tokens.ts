import { randomUUID } from 'node:crypto'
import type { Clock } from '../../src/base/clock.ts'
import type {
  FlightSeen,
  Lease,
  SealedToken,
  SharedTokens,
} from '../../src/token-cache/shared-tokens.ts'
import type { TokenKeyText } from '../../src/token-cache/token-key.ts'

interface Flight {
  readonly leaseId: string
  readonly endsAtMs: number
  readonly failure?: string
}

/** Shared tokens in this process alone: what replicas of one test share, with a clock that it moves. */
export function createMemorySharedTokens({
  clock,
  leaseMs,
}: {
  readonly clock: Clock
  readonly leaseMs: number
}): SharedTokens {
  const tokens = new Map<TokenKeyText, SealedToken & { readonly storedAtMs: number }>()
  const flights = new Map<TokenKeyText, Flight>()
  const listeners = new Map<TokenKeyText, Set<() => void>>()
  const drops: { readonly keys: readonly TokenKeyText[]; readonly atMs: number }[] = []
  let forgottenDrops = 0
  const dropListeners: (() => void)[] = []
  const lasts = ({ endsAtMs, failure }: Flight) =>
    failure === undefined && endsAtMs > clock.monotonicMs()
  const isHeld = ({ key, id }: Lease) => {
    const flight = flights.get(key)
    return flight?.leaseId === id && flight.failure === undefined
  }
  const tell = (key: TokenKeyText) => {
    for (const listener of listeners.get(key) ?? []) listener()
  }
  const begin = ({ key, id }: Lease) => {
    flights.set(key, { leaseId: id, endsAtMs: clock.monotonicMs() + leaseMs })
  }
  // Like a database, never at once.
  const later = async <T>(act: () => T): Promise<T> => {
    await new Promise(setImmediate)
    return act()
  }

  return {
    find: (key) =>
      later(() => {
        const token = tokens.get(key)
        return token && { ...token, ageMs: clock.monotonicMs() - token.storedAtMs }
      }),
    lead: (key) =>
      later(() => {
        const flight = flights.get(key)
        if (flight !== undefined && lasts(flight)) return undefined
        const lease = { key, id: randomUUID() }
        begin(lease)
        return lease
      }),
    flight: (key) =>
      later((): FlightSeen | undefined => {
        const flight = flights.get(key)
        if (flight === undefined) return undefined
        const { leaseId, failure } = flight
        if (failure !== undefined) return { leaseId, state: 'failed', failure }
        return { leaseId, state: lasts(flight) ? 'under-way' : 'abandoned' }
      }),
    renew: (lease) =>
      later(() => {
        const isMine = isHeld(lease)
        if (isMine) begin(lease)
        return isMine
      }),
    land: (lease, token) =>
      later(() => {
        if (!isHeld(lease)) return false
        flights.delete(lease.key)
        tokens.set(lease.key, { ...token, storedAtMs: clock.monotonicMs() })
        tell(lease.key)
        return true
      }),
    giveUp: (lease, failure) =>
      later(() => {
        if (!isHeld(lease)) return
        if (failure === undefined) flights.delete(lease.key)
        else flights.set(lease.key, { leaseId: lease.id, endsAtMs: 0, failure })
        tell(lease.key)
      }),
    list: (after = '') =>
      later(() =>
        [...tokens]
          .filter(([key]) => key > after)
          .toSorted(([a], [b]) => (a < b ? -1 : 1))
          .slice(0, 2)
          .map(([key, { grant, keyId }]) => ({ key, grant, keyId })),
      ),
    drop: (keys) =>
      later(() => {
        if (keys.length === 0) return
        for (const key of keys) {
          tokens.delete(key)
          flights.delete(key)
        }
        drops.push({ keys, atMs: clock.monotonicMs() })
        for (const listener of dropListeners) listener()
      }),
    remove: (listed) =>
      later(() => {
        for (const [key, { keyId }] of tokens) {
          if (listed.some((one) => one.key === key && one.keyId === keyId)) tokens.delete(key)
        }
      }),
    dropsSince: (epoch) =>
      later(() => ({
        epoch: drops.length,
        keys:
          epoch < forgottenDrops
            ? undefined
            : new Set(drops.slice(epoch).flatMap(({ keys }) => keys)),
      })),
    tidy: () =>
      later(() => {
        for (const [key, { expiresAtSeconds }] of tokens) {
          if (expiresAtSeconds < clock.nowSeconds()) tokens.delete(key)
        }
        for (const [key, { endsAtMs }] of flights) {
          if (endsAtMs < clock.monotonicMs() - 60_000) flights.delete(key)
        }
        forgottenDrops = drops.filter(({ atMs }) => atMs < clock.monotonicMs() - 3_600_000).length
      }),
    watchDrops: (listener) => {
      dropListeners.push(listener)
    },
    watch: (key, listener) => {
      const ofKey = listeners.get(key) ?? new Set()
      listeners.set(key, ofKey.add(listener))
      return () => {
        ofKey.delete(listener)
      }
    },
  }
}
