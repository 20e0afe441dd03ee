import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Clock, instantNow, laterBy } from '../../../src/base/clock.ts'
import {
  newAttemptId,
  parseApplicationName,
  parseScope,
  parseTenantId,
} from '../../../src/base/ids.ts'
import { Secret } from '../../../src/base/secret.ts'
import {
  createTokenCache,
  type CachedToken,
  type TokenCacheKey,
} from '../../../src/token-cache/token-cache.ts'
import { fixedClock } from '../../support/fixed-clock.ts'

function keyOf(application: string, tenantNumber: number, resource: string): TokenCacheKey {
  const key = {
    application: parseApplicationName(application),
    tenant: parseTenantId(`aaaaaaaa-0000-4000-8000-${String(tenantNumber).padStart(12, '0')}`),
    scope: parseScope(`https://${resource}/.default`),
  }
  if (!key.application || !key.tenant || !key.scope) throw new TypeError('a key of this test')
  return { application: key.application, tenant: key.tenant, scope: key.scope }
}

const key = keyOf('events', 1, 'orders.example')

const tokenFor = (seconds: number, clock: Clock, text = 'token'): CachedToken => ({
  value: new Secret(text),
  expiresAtSeconds: clock.nowSeconds() + seconds,
  expiry: laterBy(seconds * 1000, instantNow(clock)),
  sha256: 'sha256 of it',
  obtainedBy: newAttemptId(),
})

const newCache = (bytesMax = 1024 * 1024) => {
  const clock = fixedClock(1_000_000)
  return { clock, cache: createTokenCache({ clock, bytesMax, minRemainingSeconds: 300 }) }
}

describe('token cache', () => {
  test('serves a token until it has less than the promised time left, and not after', async () => {
    const { clock, cache } = newCache()
    const token = tokenFor(1000, clock)
    await cache.obtain(key, () => Promise.resolve(token))
    clock.advance(700)
    expect(cache.get(key)).toBe(token)
    clock.advance(1)
    expect(cache.get(key)).toBeUndefined()
    expect(cache.entries).toBe(0)
  })

  test('gives a token that is too short-lived to those who waited for it, and keeps it for nobody', async () => {
    const { clock, cache } = newCache()
    const token = tokenFor(60, clock)
    expect(await cache.obtain(key, () => Promise.resolve(token))).toBe(token)
    expect(cache.get(key)).toBeUndefined()
  })

  test('fetches once for all who ask while it is under way', async () => {
    const { clock, cache } = newCache()
    const { promise, resolve } = Promise.withResolvers<CachedToken>()
    let fetches = 0
    const fetch = () => {
      fetches += 1
      return promise
    }
    const waiting = Array.from({ length: 100 }, () => cache.obtain(key, fetch))
    const token = tokenFor(3600, clock)
    resolve(token)
    expect(new Set(await Promise.all(waiting))).toEqual(new Set([token]))
    expect(fetches).toBe(1)
  })

  test('a fetch that fails fails all who waited, and nobody after them', async () => {
    const { clock, cache } = newCache()
    const failing = () => Promise.reject(new Error('away'))
    const waiting = [cache.obtain(key, failing), cache.obtain(key, failing)]
    for (const outcome of await Promise.allSettled(waiting)) expect(outcome.status).toBe('rejected')
    const token = tokenFor(3600, clock)
    expect(await cache.obtain(key, () => Promise.resolve(token))).toBe(token)
  })

  test('a fetch that throws at once is a failed fetch like any other', async () => {
    const { clock, cache } = newCache()
    await expect(
      cache.obtain(key, () => {
        throw new Error('at once')
      }),
    ).rejects.toThrow('at once')
    const token = tokenFor(3600, clock)
    expect(await cache.obtain(key, () => Promise.resolve(token))).toBe(token)
  })

  test('stays within its bytes by letting go what was used least recently', async () => {
    const { clock, cache } = newCache(10_000)
    const text = 'x'.repeat(1000)
    for (let tenant = 1; tenant <= 50; tenant += 1) {
      const one = keyOf('events', tenant, 'orders.example')
      await cache.obtain(one, () => Promise.resolve(tokenFor(3600, clock, text)))
      expect(cache.bytes).toBeLessThanOrEqual(10_000)
    }
    expect(cache.get(keyOf('events', 1, 'orders.example'))).toBeUndefined()
    expect(cache.get(keyOf('events', 50, 'orders.example'))).toBeDefined()
  })

  test('never serves one key what was obtained for another', async () => {
    const part = fc.constantFrom('events', 'event', 'deploy', 's')
    const keys = fc.tuple(
      part,
      fc.integer({ min: 1, max: 3 }),
      fc.constantFrom('a.example', 'b.example'),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(keys, { minLength: 1, maxLength: 20 }), async (asked) => {
        const { clock, cache } = newCache()
        for (const parts of asked) {
          const one = keyOf(...parts)
          const text = parts.join(' ')
          const token = await cache.obtain(one, () => Promise.resolve(tokenFor(3600, clock, text)))
          expect(token.value.reveal()).toBe(text)
          expect(cache.get(one)?.value.reveal()).toBe(text)
        }
      }),
    )
  })
})
