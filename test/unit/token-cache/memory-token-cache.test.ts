import { describe, expect, test } from 'vitest'
import { createMemoryTokenCache } from '../../../src/token-cache/memory-token-cache.ts'
import type { CachedToken, DueToken, TokenCache } from '../../../src/token-cache/token-cache.ts'
import type { TokenKey } from '../../../src/token-cache/token-key.ts'
import {
  keyId,
  obtainedToken,
  tokenKey,
  type KeyParts,
  type TokenParts,
} from '../../support/cached-tokens.ts'
import { fixedClock } from '../../support/fixed-clock.ts'
import { grantName } from '../../support/grants.ts'

const grant = grantName('orders')
const patience = { timeoutMs: 60_000 }
const key = tokenKey()

const newCache = (bytesMax = 64 * 1024 * 1024) => {
  const clock = fixedClock(1_000_000)
  let evicted = 0
  const cache = createMemoryTokenCache({
    clock,
    bytesMax,
    minRemainingSeconds: 300,
    refreshAheadSeconds: 1200,
    onEvicted: () => {
      evicted += 1
    },
  })
  const get = (one: TokenKey = key) => held(cache.get({ key: one, grant }))
  const obtain = (one: TokenKey, fetch: () => Promise<CachedToken>) =>
    cache.obtain({ key: one, grant }, keyId, fetch, patience)
  const put = (parts: KeyParts = {}, token: TokenParts = {}) =>
    obtain(tokenKey(parts), () => Promise.resolve(obtainedToken(clock, token)))
  return { clock, cache, get, obtain, put, evicted: () => evicted }
}

/** What tells one token from another. */
const held = (token: CachedToken | undefined) =>
  token && { text: token.value.reveal(), obtainedBy: token.obtainedBy, keyId: token.keyId }

const failing = () => Promise.reject(new Error('away'))

function dueNow(cache: TokenCache): readonly DueToken[] {
  const due: DueToken[] = []
  for (let one = cache.takeDue(); one !== undefined; one = cache.takeDue()) due.push(one)
  return due
}

describe('a cached token', () => {
  test('is served until it has less than the promised time left, and not after', async () => {
    const { clock, cache, get, put } = newCache()
    const token = await put({}, { lifetimeSeconds: 1000 })
    clock.advance(700)
    expect(get()).toEqual(held(token))
    clock.advance(1)
    expect(get()).toBeUndefined()
    expect(cache.entries).toBe(0)
  })

  test('that is too short-lived is for those who waited, and for nobody else', async () => {
    const { get, put } = newCache()
    expect(await put({}, { lifetimeSeconds: 60 })).toBeDefined()
    expect(get()).toBeUndefined()
  })

  test('does not live longer because the clock of the machine is set back', async () => {
    const { clock, get, put } = newCache()
    await put({}, { lifetimeSeconds: 3600 })
    clock.advance(3300)
    clock.jump(-7200)
    expect(get()).toBeDefined()
    clock.advance(1)
    expect(get()).toBeUndefined()
  })

  test('is not served any more when the clock of the machine turns out to be behind', async () => {
    const { clock, get, put } = newCache()
    await put({}, { lifetimeSeconds: 3600 })
    clock.jump(3301)
    expect(get()).toBeUndefined()
  })

  test('is gone when it is not served any more, also when nobody asks', async () => {
    const { clock, cache, put } = newCache()
    await put()
    clock.advance(3302)
    expect(dueNow(cache)).toEqual([])
    expect(cache.entries).toBe(0)
    expect(cache.bytes).toBe(0)
  })

  test('makes room when it was used least lately', async () => {
    const { cache, get, put, evicted } = newCache(10_000)
    const text = 'x'.repeat(1000)
    for (let tenant = 1; tenant <= 50; tenant += 1) {
      await put({ tenant }, { text })
      expect(get(tokenKey({ tenant: 1 }))).toBeDefined()
      expect(cache.bytes).toBeLessThanOrEqual(10_000)
    }
    expect(get(tokenKey({ tenant: 2 }))).toBeUndefined()
    expect(get(tokenKey({ tenant: 50 }))).toBeDefined()
    expect(evicted()).toBe(50 - cache.entries)
  })
})

describe('the memory of the cache', () => {
  test('does not take what is larger than all of it', async () => {
    const { cache, get, put } = newCache(10_000)
    await put({ tenant: 2 })
    expect(await put({}, { text: 'x'.repeat(10_000) })).toBeDefined()
    expect(get()).toBeUndefined()
    expect(get(tokenKey({ tenant: 2 }))).toBeDefined()
    expect(cache.entries).toBe(1)
  })

  test('gives back a token as it was, whatever is in it', async () => {
    const { get, put } = newCache()
    const texts = ['x', 'y'.repeat(5000), 'a token that is none: ✓ é', 'z'.repeat(1100)]
    for (const [tenant, text] of texts.entries()) await put({ tenant }, { text })
    for (const [tenant, text] of texts.entries()) {
      expect(get(tokenKey({ tenant }))?.text).toBe(text)
    }
  })
})

describe('a flight', () => {
  test('is one for all who ask while it is under way', async () => {
    const { clock, obtain } = newCache()
    const { promise, resolve } = Promise.withResolvers<CachedToken>()
    let fetches = 0
    const fetch = () => {
      fetches += 1
      return promise
    }
    const waiting = Array.from({ length: 100 }, () => obtain(key, fetch))
    const token = obtainedToken(clock)
    resolve(token)
    expect(new Set(await Promise.all(waiting))).toEqual(new Set([token]))
    expect(fetches).toBe(1)
  })

  test.for<readonly [string, () => Promise<CachedToken>]>([
    ['that fails', failing],
    [
      'that throws at once',
      () => {
        throw new Error('away')
      },
    ],
  ])('%s fails all who waited, and nobody after them', async ([, fetch]) => {
    const { obtain, put } = newCache()
    const waiting = [obtain(key, fetch), obtain(key, fetch)]
    for (const outcome of await Promise.allSettled(waiting)) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: new Error('away') })
    }
    expect(await put()).toBeDefined()
  })

  test('is left by those whose time is up or who are gone, and goes on for the others', async () => {
    const { clock, cache, get } = newCache()
    const { promise, resolve } = Promise.withResolvers<CachedToken>()
    const wait = (others: object) =>
      cache.obtain({ key, grant }, keyId, () => promise, { ...patience, ...others })
    const goer = new AbortController()
    const leader = wait({ timeoutMs: 1 })
    const gone = wait({ gone: goer.signal })
    const goneBefore = wait({ gone: AbortSignal.abort() })
    const patient = wait({})
    goer.abort()

    expect(await Promise.allSettled([leader, gone, goneBefore])).toMatchObject([
      { reason: { code: 'TOKEN_LATE' } },
      { reason: { code: 'TOKEN_CALLER_GONE' } },
      { reason: { code: 'TOKEN_CALLER_GONE' } },
    ])
    const token = obtainedToken(clock)
    resolve(token)
    expect(await patient).toBe(token)
    expect(get()).toEqual(held(token))
  })

  test('that all have left fails nobody, and leaves nothing behind', async () => {
    const { cache, put } = newCache()
    const { promise, reject } = Promise.withResolvers<CachedToken>()
    const waiting = cache.obtain({ key, grant }, keyId, () => promise, { timeoutMs: 1 })
    await expect(waiting).rejects.toMatchObject({ code: 'TOKEN_LATE' })
    reject(new Error('away'))
    await expect(promise).rejects.toThrow('away')
    expect(await put()).toBeDefined()
  })
})

describe('dropping', () => {
  const other = { application: 'deploy', tenant: 2, isolation: 'orders' }
  test.for<readonly [string, Parameters<TokenCache['drop']>[0]]>([
    ['an application', (held) => held.key.application === 'events'],
    ['a tenant', (held) => held.key.tenant === key.tenant],
    ['a key version', (held) => held.keyId === keyId],
    ['a grant', (held) => held.grant === grant],
    ['what shares its tokens', (held) => held.key.isolation === null],
  ])('%s forgets its tokens at once, and no others', async ([, matches]) => {
    const { clock, cache, get, put } = newCache()
    await put()
    await put({ resource: 'https://alerts.example' })
    await cache.obtain(
      { key: tokenKey(other), grant: grantName('deploy') },
      'another key',
      () => Promise.resolve(obtainedToken(clock, { keyId: 'another key' })),
      patience,
    )
    expect(cache.drop(matches)).toBe(2)
    expect(get()).toBeUndefined()
    expect(cache.entries).toBe(1)
    expect(cache.get({ key: tokenKey(other), grant })).toBeDefined()
  })

  test('goes by the grant that used a token last', async () => {
    const { cache, get, put } = newCache()
    await put()
    cache.get({ key, grant: grantName('deploy') })
    expect(cache.drop((held) => held.grant === grant)).toBe(0)
    get()
    expect(cache.drop((held) => held.grant === grant)).toBe(1)
  })

  test('a key whose token is under way: those who wait get it, and it is not kept', async () => {
    const { clock, cache, get, obtain } = newCache()
    const { promise, resolve } = Promise.withResolvers<CachedToken>()
    const waiting = obtain(key, () => promise)
    expect(cache.drop((held) => held.keyId === keyId)).toBe(0)
    const fresh = obtainedToken(clock)
    const after = obtain(key, () => Promise.resolve(fresh))
    const old = obtainedToken(clock)
    resolve(old)

    expect(await waiting).toBe(old)
    expect(await after).toBe(fresh)
    expect(get()).toEqual(held(fresh))
  })

  test('a key of which two tokens are under way, because the first will not do for everybody: neither is kept', async () => {
    const { clock, cache, get, obtain } = newCache()
    const [first, second] = [
      Promise.withResolvers<CachedToken>(),
      Promise.withResolvers<CachedToken>(),
    ]
    const waiting = obtain(key, () => first.promise)
    const wish = { key, grant, obtainedAfterSeconds: clock.nowSeconds() }
    const challenged = cache.obtain(wish, keyId, () => second.promise, patience)
    cache.drop((held) => held.keyId === keyId)
    for (const { resolve } of [first, second]) resolve(obtainedToken(clock))
    await Promise.all([waiting, challenged])
    expect(get()).toBeUndefined()
  })

  test('leaves a flight alone that has nothing to do with it', async () => {
    const { clock, cache, get, obtain } = newCache()
    const { promise, resolve } = Promise.withResolvers<CachedToken>()
    const waiting = obtain(key, () => promise)
    cache.drop((held) => held.key.application === 'deploy')
    resolve(obtainedToken(clock))
    expect(get()).toBeUndefined()
    expect(held(await waiting)).toEqual(get())
  })

  test('a token that is being refreshed: the fresh one is not put in its place', async () => {
    const { clock, cache, get, put } = newCache()
    await put()
    get()
    const { promise, resolve } = Promise.withResolvers<CachedToken>()
    const refreshing = cache.refresh({ key, grant }, keyId, () => promise)
    expect(cache.drop(() => true)).toBe(1)
    resolve(obtainedToken(clock))
    await refreshing
    expect(get()).toBeUndefined()
  })
})

describe('a token is due', () => {
  /** Nobody asks for it from then on. */
  const usedAt = async (seconds: number) => {
    const one = newCache()
    await one.put()
    one.clock.advance(seconds)
    one.get()
    return one
  }

  test('when it is in use and nears its end, with the grant that used it last', async () => {
    const { clock, cache, get } = await usedAt(1500)
    cache.get({ key, grant: grantName('deploy') })
    clock.advance(899)
    expect(dueNow(cache)).toEqual([])
    clock.advance(601)
    expect(dueNow(cache)).toEqual([{ key, grant: 'deploy' }])
    expect(dueNow(cache)).toEqual([])
    expect(get()).toBeDefined()
  })

  test('never, when nobody has asked for it since it was obtained', async () => {
    const { clock, cache, put } = newCache()
    await put()
    for (let second = 0; second < 3600; second += 10) {
      clock.advance(10)
      expect(dueNow(cache)).toEqual([])
    }
  })

  test('not when it was asked for long ago, but as soon as it is asked for again', async () => {
    const { clock, cache, get } = await usedAt(1)
    clock.advance(3000)
    expect(dueNow(cache)).toEqual([])
    get()
    clock.advance(1)
    expect(dueNow(cache)).toHaveLength(1)
  })

  test('not in one minute with all others of one minute, but with those of its tenant', async () => {
    const { clock, cache, get, put } = newCache()
    const resources = ['https://orders.example', 'https://alerts.example']
    const tenants = Array.from({ length: 600 }, (_, index) => index)
    for (const resource of resources) {
      for (const tenant of tenants) await put({ tenant, resource })
    }
    clock.advance(2000)
    for (const resource of resources) {
      for (const tenant of tenants) get(tokenKey({ tenant, resource }))
    }
    const perMinute: number[] = []
    for (let second = 0; second < 1200; second += 1) {
      clock.advance(1)
      const due = dueNow(cache).map((one) => one.key.tenant)
      expect(due.filter((one) => due.indexOf(one) === due.lastIndexOf(one))).toEqual([])
      const minute = Math.floor(second / 60)
      perMinute[minute] = (perMinute[minute] ?? 0) + due.length
    }
    expect(perMinute.reduce((sum, count) => sum + count)).toBe(1200)
    // Ten minutes: a tenth each, give or take much more than chance would.
    expect(Math.max(...perMinute)).toBeLessThan(300)
  })
})

describe('refreshing', () => {
  const due = async (lifetimeSeconds = 3600) => {
    const one = newCache()
    const old = await one.put({}, { lifetimeSeconds })
    one.get()
    one.clock.advance(lifetimeSeconds - 599)
    one.get()
    expect(dueNow(one.cache)).toHaveLength(1)
    const refresh = (fetch: () => Promise<CachedToken>) =>
      one.cache.refresh({ key, grant }, keyId, fetch)
    return { ...one, old, refresh }
  }
  /** In how many seconds it is due, when it is asked for all the time. */
  const dueIn = ({ clock, cache, get }: ReturnType<typeof newCache>) => {
    for (let second = 1; second <= 3600; second += 1) {
      clock.advance(1)
      get()
      if (dueNow(cache).length > 0) return second
    }
    return Infinity
  }

  test('puts the fresh token in place of the old one, and is for nobody to wait for', async () => {
    const { clock, get, refresh, old } = await due()
    const { promise, resolve } = Promise.withResolvers<CachedToken>()
    const refreshing = refresh(() => promise)
    expect(get()).toEqual(held(old))
    const fresh = obtainedToken(clock)
    resolve(fresh)
    expect(await refreshing).toBe(fresh)
    expect(get()).toEqual(held(fresh))
  })

  test('begins anew: the fresh token is not due until it is used and old', async () => {
    const one = await due()
    await one.refresh(() => Promise.resolve(obtainedToken(one.clock)))
    const seconds = dueIn(one)
    expect(seconds).toBeGreaterThanOrEqual(2400)
    expect(seconds).toBeLessThanOrEqual(3001)
  })

  test('that fails keeps the token that lives, and is tried again and not for ever', async () => {
    const one = newCache()
    const old = await one.put({}, { lifetimeSeconds: 100_000, refreshInSeconds: 100 })
    one.clock.advance(1000)
    one.get()
    one.clock.advance(1)
    const at: number[] = []
    for (let second = 0; second < 2000; second += 1) {
      expect(one.get()).toEqual(held(old))
      if (dueNow(one.cache).length > 0) {
        await expect(one.cache.refresh({ key, grant }, keyId, failing)).rejects.toThrow('away')
        at.push(second)
      }
      one.clock.advance(1)
    }
    const pauses = at.map((second, index) => second - (at[index - 1] ?? 0))
    // To the second in which it is looked at again.
    expect(pauses).toEqual([0, 16, 31, 61, 121, 241, 241, 241, 241, 241])
  })

  test('that brings a token which ends sooner keeps the old one, and is tried again', async () => {
    const one = await due()
    await one.refresh(() => Promise.resolve(obtainedToken(one.clock, { lifetimeSeconds: 590 })))
    expect(one.get()).toEqual(held(one.old))
    expect(dueIn(one)).toBe(16)
  })

  test('that is left because no grant allows it comes up again when it is used', async () => {
    const one = await due()
    one.clock.advance(10)
    expect(dueNow(one.cache)).toEqual([])
    one.get()
    expect(dueIn(one)).toBe(1)
  })

  test('is what those share who find no token that lasts, and not due meanwhile', async () => {
    const { clock, cache, get, obtain, refresh } = await due()
    const { promise, resolve } = Promise.withResolvers<CachedToken>()
    const refreshing = refresh(() => promise)
    clock.advance(300)
    expect(get()).toBeUndefined()
    expect(dueNow(cache)).toEqual([])
    const waiting = obtain(key, failing)
    const fresh = obtainedToken(clock)
    resolve(fresh)
    expect(await waiting).toBe(fresh)
    expect(await refreshing).toBe(fresh)
  })
})

describe('a wish for a younger token', () => {
  const wish = (obtainedAfterSeconds: number) => ({ key, grant, obtainedAfterSeconds })
  const newChallenge = async () => {
    const one = newCache()
    const old = await one.put()
    one.clock.advance(100)
    let fetches = 0
    const force = (after: number, fetch = () => Promise.resolve(obtainedToken(one.clock))) =>
      one.cache.obtain(
        wish(after),
        keyId,
        () => {
          fetches += 1
          return fetch()
        },
        patience,
      )
    return { ...one, old, force, fetches: () => fetches }
  }
  const begin = 1_000_000

  test('is met by a token that was obtained later, and by no other', async () => {
    const { cache, old } = await newChallenge()
    expect(held(cache.get(wish(begin - 1)))).toEqual(held(old))
    expect(cache.get(wish(begin))).toBeUndefined()
  })

  test('forces a fresh one, which is then for everybody, even if it ends sooner', async () => {
    const { clock, cache, get, force } = await newChallenge()
    const fresh = obtainedToken(clock, { lifetimeSeconds: 1000 })
    expect(await force(begin, () => Promise.resolve(fresh))).toBe(fresh)
    expect(held(cache.get(wish(begin)))).toEqual(held(fresh))
    expect(get()).toEqual(held(fresh))
  })

  test('is one flight for all who have it', async () => {
    const { clock, force, fetches } = await newChallenge()
    const { promise, resolve } = Promise.withResolvers<CachedToken>()
    const now = clock.nowSeconds()
    const waiting = [begin, begin + 50, now, now].map((after) => force(after, () => promise))
    resolve(obtainedToken(clock))
    expect(new Set(await Promise.all(waiting)).size).toBe(1)
    expect(fetches()).toBe(1)
  })

  test('does not end with a flight that was under way before it', async () => {
    const { clock, cache, obtain, force } = newCacheWithFlight()
    const { promise, resolve } = Promise.withResolvers<CachedToken>()
    const before = obtain(key, () => promise)
    clock.advance(10)
    const fresh = obtainedToken(clock)
    expect(await force(begin + 5, fresh)).toBe(fresh)
    resolve(obtainedToken(fixedClock(begin)))
    await before
    expect(held(cache.get(wish(begin + 5)))).toEqual(held(fresh))
  })

  test('can have nothing better for 30 s, when the last forced one does not meet it', async () => {
    const { clock, cache, force, fetches } = await newChallenge()
    const tomorrow = begin + 86_400
    const forced = await force(tomorrow)
    clock.advance(29)
    expect(held(cache.get(wish(tomorrow)))).toEqual(held(forced))
    clock.advance(1)
    expect(cache.get(wish(tomorrow))).toBeUndefined()
    await force(tomorrow)
    expect(fetches()).toBe(2)
  })

  test('that fails leaves the token to the others, and contents no challenge with it', async () => {
    const { cache, get, old, force } = await newChallenge()
    await expect(force(begin, failing)).rejects.toThrow('away')
    expect(get()).toEqual(held(old))
    expect(cache.get(wish(begin))).toBeUndefined()
  })

  function newCacheWithFlight() {
    const one = newCache()
    const force = (after: number, token: CachedToken) =>
      one.cache.obtain(wish(after), keyId, () => Promise.resolve(token), patience)
    return { ...one, force }
  }
})
