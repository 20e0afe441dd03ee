import type { Clock } from '../base/clock.ts'
import type { ApplicationName, GrantName } from '../base/ids.ts'
import type { FleetDrops } from './fleet-drops.ts'
import { type CachedToken, TokenCacheError } from './token-cache.ts'
import type { SealedTokens } from './sealed-tokens.ts'
import type { Lease, SharedTokens } from './shared-tokens.ts'
import type { SharedToken } from './token-form.ts'
import { type TokenKey, type TokenKeyText, tokenKeyText } from './token-key.ts'

/** What a flight of one replica is about. */
export interface Wanted {
  readonly key: TokenKey
  readonly grant: GrantName
  /** Obtained because a resource took offence at an older one. */
  readonly forced: boolean
  /** Whether a token that another replica obtained will do, of those that last. */
  readonly accepts: (shared: SharedToken, ageMs: number) => boolean
  /**
   * The key version that it sets out with. Undefined: nothing can be signed here, so it takes what others
   * have, or obtain, and leads nothing.
   */
  readonly keyId: string | undefined
}

/** How failures are told to replicas that wait, and how these understand it. */
export interface ToldFailures {
  /** Undefined of what is nobody else's business: they look for themselves. */
  textOf(error: unknown, keyId: string | undefined): string | undefined
  /**
   * Undefined for what is no failure of ours, or of another key version than the one that this replica
   * would set out with.
   */
  errorFrom(text: string, keyId: string | undefined): Error | undefined
}

/** What operators are told of sharing. */
export interface FleetEvents {
  /** Another replica had it. */
  sharedHit(): void
  /** No other replica has it, so one of them is to obtain it. */
  sharedMiss(): void
  /** This replica obtains it for all. */
  led(): void
  /** Another one does. */
  joined(): void
  /** This replica took so long that another may have begun. */
  lost(): void
  /** Obtained without asking, or not shared afterwards, because sharing did not work. */
  notShared(error: unknown): void
}

export interface FleetFlightsOptions {
  readonly store: SharedTokens
  readonly drops: Pick<FleetDrops, 'guard' | 'storing'>
  /**
   * Whether the application has this key version here: what replicas with another configuration obtain is
   * not given by this one.
   */
  readonly hasKey: (application: ApplicationName, keyId: string) => boolean
  readonly tokens: SealedTokens
  readonly failures: ToldFailures
  readonly events: FleetEvents
  readonly clock: Clock
  /** Well below what a lease lasts. */
  readonly renewEveryMs: number
  /** About how often those who wait look when nothing is told them. */
  readonly lookEveryMs: number
}

/**
 * One flight per key across all replicas, as long as they can speak to one another. What goes wrong
 * with sharing costs a signature, and nothing else: then each replica obtains for itself.
 */
export interface FleetFlights {
  /** @throws whatever `fetch` throws, or threw elsewhere; TokenCacheError when others take too long. */
  obtain(wanted: Wanted, fetch: () => Promise<CachedToken>): Promise<CachedToken>
  /** Resolves when nothing of this replica is still to be told to others. */
  settled(): Promise<void>
}

/** Nobody's patience lasts as long, and no flight that is well: two signatures and two exchanges. */
const waitMaxMs = 60_000

type Turn =
  | { readonly kind: 'found'; readonly token: CachedToken }
  | { readonly kind: 'lead'; readonly lease: Lease }
  | { readonly kind: 'alone' }
  | { readonly kind: 'failed'; readonly error: Error }

export function createFleetFlights(options: FleetFlightsOptions): FleetFlights {
  const { store, drops, hasKey, tokens, failures, events, clock } = options
  const { renewEveryMs, lookEveryMs } = options
  const telling = new Set<Promise<void>>()

  /** Nobody waits for it, and what comes of it matters to no caller. */
  const tell = (act: () => Promise<void>) => {
    const told = act()
      .catch((error: unknown) => {
        events.notShared(error)
      })
      .finally(() => telling.delete(told))
    telling.add(told)
  }

  const found = async (wanted: Wanted, text: TokenKeyText): Promise<CachedToken | undefined> => {
    const isDropped = drops.guard()
    const row = await store.find(text)
    if (row === undefined || !hasKey(wanted.key.application, row.keyId)) return undefined
    const shared = await tokens.open(wanted.key, row)
    if (shared === undefined || isDropped({ ...row, key: wanted.key })) return undefined
    return wanted.accepts(shared, row.ageMs) ? shared.token : undefined
  }

  /** Waits while the flight is under way that is now: how it failed, if it did. */
  const landing = async (
    { keyId }: Wanted,
    text: TokenKeyText,
    untilMs: number,
  ): Promise<Error | undefined> => {
    const hints = listen(store, text)
    try {
      let watched: string | undefined
      for (;;) {
        const flight = await store.flight(text)
        if (flight === undefined || flight.state === 'abandoned') return undefined
        if (watched !== undefined && flight.leaseId !== watched) return undefined
        if (flight.state === 'failed') return failures.errorFrom(flight.failure ?? '', keyId)
        watched = flight.leaseId
        if (clock.monotonicMs() >= untilMs) return new TokenCacheError('TOKEN_LATE')
        await hints.next(jittered(lookEveryMs))
      }
    } finally {
      hints.end()
    }
  }

  const isUnderWay = async (text: TokenKeyText) => (await store.flight(text))?.state === 'under-way'

  const turnOf = async (wanted: Wanted, text: TokenKeyText): Promise<Turn> => {
    const untilMs = clock.monotonicMs() + waitMaxMs
    for (let isFirst = true; ; isFirst = false) {
      const token = await found(wanted, text)
      if (token !== undefined) return { kind: 'found', token }
      if (isFirst) events.sharedMiss()
      if (wanted.keyId === undefined && !(await isUnderWay(text))) return { kind: 'alone' }
      const lease = wanted.keyId === undefined ? undefined : await store.lead(text)
      if (lease !== undefined) return await takeOff(wanted, lease)
      if (isFirst) events.joined()
      const error = await landing(wanted, text, untilMs)
      if (error !== undefined) return { kind: 'failed', error }
    }
  }

  /** The one before may have landed between our looking and our leading. */
  const takeOff = async (wanted: Wanted, lease: Lease): Promise<Turn> => {
    const token = await found(wanted, lease.key).catch((error: unknown) => {
      events.notShared(error)
      return undefined
    })
    if (token === undefined) return { kind: 'lead', lease }
    tell(() => store.giveUp(lease))
    return { kind: 'found', token }
  }

  const share = async (wanted: Wanted, lease: Lease, token: CachedToken) => {
    const { key, grant } = wanted
    const { expiresAtSeconds, keyId } = token
    const isStored = drops.storing({ key, grant, keyId })
    try {
      const sealed = await tokens.seal(key, token, wanted)
      const row = { sealed, expiresAtSeconds, keyId, grant }
      if (!(await store.land(lease, row))) events.lost()
    } catch (error) {
      // Nobody can be given it: each is to obtain its own.
      await store.giveUp(lease)
      throw error
    } finally {
      isStored()
    }
  }

  const lead = async (
    wanted: Wanted,
    lease: Lease,
    fetch: () => Promise<CachedToken>,
  ): Promise<CachedToken> => {
    events.led()
    const endRenewal = renewing(store, lease, renewEveryMs, events)
    try {
      const token = await fetch()
      tell(() => share(wanted, lease, token).finally(endRenewal))
      return token
    } catch (error) {
      endRenewal()
      tell(() => store.giveUp(lease, failures.textOf(error, wanted.keyId)))
      throw error
    }
  }

  return {
    obtain: async (wanted, fetch) => {
      const turn = await turnOf(wanted, tokenKeyText(wanted.key)).catch((error: unknown): Turn => {
        events.notShared(error)
        return { kind: 'alone' }
      })
      switch (turn.kind) {
        case 'found':
          events.sharedHit()
          return turn.token
        case 'lead':
          return lead(wanted, turn.lease, fetch)
        case 'alone':
          return fetch()
        case 'failed':
          throw turn.error
      }
    },
    settled: async () => {
      while (telling.size > 0) await Promise.all(telling)
    },
  }
}

/** Three quarters to five quarters: replicas that began to wait together do not look together. */
const jittered = (ms: number) => ms * (0.75 + Math.random() / 2)

/** A hint that comes while nobody waits for it counts for the next who does. */
function listen(store: SharedTokens, key: TokenKeyText) {
  let heard = Promise.withResolvers<undefined>()
  const stop = store.watch(key, () => {
    heard.resolve(undefined)
  })
  return {
    next: async (ms: number): Promise<void> => {
      const timer = setTimeout(() => {
        heard.resolve(undefined)
      }, ms)
      await heard.promise
      clearTimeout(timer)
      heard = Promise.withResolvers()
    },
    end: stop,
  }
}

/** Renews a lease until it is over or told to end, and no longer than a flight may take that is well. */
function renewing(
  store: SharedTokens,
  lease: Lease,
  everyMs: number,
  events: Pick<FleetEvents, 'notShared'>,
): () => void {
  let left = Math.ceil(waitMaxMs / everyMs)
  const renew = async () => {
    left -= 1
    const isMine = await store.renew(lease)
    if (!isMine || left <= 0) clearInterval(timer)
  }
  const timer = setInterval(() => {
    renew().catch((error: unknown) => {
      events.notShared(error)
    })
  }, everyMs)
  return () => {
    clearInterval(timer)
  }
}
