import { fc } from '../support/drawn-cases.ts'
import { describe, expect, test } from 'vitest'
import { createMemoryTokenCache } from '../../src/token-cache/memory-token-cache.ts'
import { tokenKeyText } from '../../src/token-cache/token-key.ts'
import { keyId, obtainedToken, tokenKey } from '../support/cached-tokens.ts'
import { fixedClock } from '../support/fixed-clock.ts'
import { grantName } from '../support/grants.ts'

/** Laws of the token cache, over whatever may happen to it, in any order. */

const minRemainingSeconds = 300

/** Keys that differ in one thing each. */
const keys = [
  tokenKey(),
  tokenKey({ cloud: 'https://login.example' }),
  tokenKey({ application: 'deploy' }),
  tokenKey({ tenant: 2 }),
  tokenKey({ resource: 'https://alerts.example' }),
  tokenKey({ life: 'long-lived' }),
  tokenKey({ isolation: 'orders' }),
]

const someKey = fc.integer({ min: 0, max: keys.length - 1 })
/** Too short to be kept, short, ordinary, and a day; absent: the exchange fails. */
const lifetime = fc.option(fc.constantFrom(10, 301, 900, 3600, 86_400))

const happening = fc.oneof(
  { weight: 5, arbitrary: fc.record({ what: fc.constant('ask'), key: someKey, lifetime }) },
  {
    weight: 2,
    arbitrary: fc.record({
      what: fc.constant('challenge'),
      key: someKey,
      lifetime,
      agoSeconds: fc.integer({ min: -60, max: 120 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ what: fc.constant('refresh'), lifetime }) },
  {
    weight: 5,
    arbitrary: fc.record({
      what: fc.constant('time passes'),
      seconds: fc.constantFrom(1, 29, 60, 600, 3000),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      what: fc.constant('somebody sets the clock'),
      seconds: fc.integer({ min: -10_000, max: 10_000 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ what: fc.constant('drop'), key: someKey }) },
)

type Happening =
  | { what: 'ask'; key: number; lifetime: number | null }
  | { what: 'challenge'; key: number; lifetime: number | null; agoSeconds: number }
  | { what: 'refresh'; lifetime: number | null }
  | { what: 'time passes' | 'somebody sets the clock'; seconds: number }
  | { what: 'drop'; key: number }

/** Asks as issuing does, and holds every answer against what is known of the token. */
function newWorld() {
  const clock = fixedClock(1_000_000)
  const grant = grantName('orders')
  const cache = createMemoryTokenCache({
    clock,
    bytesMax: 1024 * 1024,
    minRemainingSeconds,
    refreshAheadSeconds: 1200,
    onEvicted: () => undefined,
  })
  /** By the attempt that obtained them. */
  const made = new Map<string, { readonly key: number; readonly diesAtMs: number }>()
  const dropped = new Set<string>()

  const exchange = (key: number, lifetimeSeconds: number | null) => () => {
    if (lifetimeSeconds === null) return Promise.reject(new Error('away'))
    const token = obtainedToken(clock, { lifetimeSeconds, text: `token for ${key}` })
    made.set(token.obtainedBy, { key, diesAtMs: clock.monotonicMs() + lifetimeSeconds * 1000 })
    return Promise.resolve(token)
  }
  const keyAt = (index: number) => keys[index] ?? tokenKey()
  const peek = (key: number) => cache.get({ key: keyAt(key), grant })

  /** How it came by an answer. */
  const ask = async (key: number, lifetimeSeconds: number | null, after?: number) => {
    const wish = {
      key: keyAt(key),
      grant,
      ...(after === undefined ? {} : { obtainedAfterSeconds: after }),
    }
    const cached = cache.get(wish)
    if (cached !== undefined) {
      expect(cached.value.reveal()).toBe(`token for ${key}`)
      expect(made.get(cached.obtainedBy)?.key).toBe(key)
      expect(dropped.has(cached.obtainedBy)).toBe(false)
      expect(cached.expiresAtSeconds - clock.nowSeconds()).toBeGreaterThanOrEqual(
        minRemainingSeconds,
      )
      expect(
        (made.get(cached.obtainedBy)?.diesAtMs ?? 0) - clock.monotonicMs(),
      ).toBeGreaterThanOrEqual(minRemainingSeconds * 1000)
      return 'served'
    }
    const before = peek(key)
    const fetch = exchange(key, lifetimeSeconds)
    const outcomes = await Promise.allSettled(
      [1, 2, 3].map(() => cache.obtain(wish, keyId, fetch, { timeoutMs: 1000 })),
    )
    // One flight: all of them have the same, be it a token or a failure.
    const [first] = outcomes
    for (const outcome of outcomes) expect(outcome).toEqual(first)
    if (lifetimeSeconds === null) expect(peek(key)?.obtainedBy).toBe(before?.obtainedBy)
    return first?.status === 'fulfilled' ? 'obtained' : 'failed'
  }

  const refreshAll = async (lifetimeSeconds: number | null) => {
    let refreshed = 0
    for (let due = cache.takeDue(); due !== undefined; due = cache.takeDue()) {
      const key = keys.findIndex((one) => tokenKeyText(one) === tokenKeyText(due.key))
      const before = peek(key)
      expect(before).toBeDefined()
      await cache.refresh(due, keyId, exchange(key, lifetimeSeconds)).catch((error: unknown) => {
        expect(error).toEqual(new Error('away'))
      })
      const now = peek(key)
      expect(now?.expiry.monotonicMs).toBeGreaterThanOrEqual(before?.expiry.monotonicMs ?? 0)
      refreshed += 1
    }
    return refreshed
  }

  const drop = (key: number) => {
    for (const [token, of] of made) if (of.key === key) dropped.add(token)
    cache.drop((held) => tokenKeyText(held.key) === tokenKeyText(keyAt(key)))
    expect(peek(key)).toBeUndefined()
  }

  const live = async (happening: Happening): Promise<void> => {
    switch (happening.what) {
      case 'ask':
        await ask(happening.key, happening.lifetime)
        return
      case 'challenge':
        await ask(happening.key, happening.lifetime, clock.nowSeconds() - happening.agoSeconds)
        return
      case 'refresh':
        await refreshAll(happening.lifetime)
        return
      case 'time passes':
        clock.advance(happening.seconds)
        return
      case 'somebody sets the clock':
        clock.jump(happening.seconds)
        return
      case 'drop':
        drop(happening.key)
    }
  }
  return { clock, live, ask, refreshAll }
}

describe('whatever happens', () => {
  test('no token outlives its end, is served for another key, is served after it was dropped, or is shortened by a refresh', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(happening, { maxLength: 60 }), async (happenings) => {
        const { live } = newWorld()
        for (const one of happenings) await live(one)
      }),
      { numRuns: 300 },
    )
  })

  test('all of it can happen: tokens are obtained, served, refreshed, and not to be had', async () => {
    const { clock, ask, refreshAll } = newWorld()
    expect(await ask(0, 3600)).toBe('obtained')
    clock.advance(1800)
    expect(await ask(0, null)).toBe('served')
    clock.advance(1200)
    expect(await refreshAll(3600)).toBe(1)
    clock.advance(301)
    expect(await ask(0, null)).toBe('served')
    clock.advance(3600)
    expect(await ask(0, null)).toBe('failed')
  })
})
