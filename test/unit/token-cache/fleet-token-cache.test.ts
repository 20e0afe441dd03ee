import { describe, expect, test } from 'vitest'
import { createFleetTokenCache } from '../../../src/token-cache/fleet-token-cache.ts'
import type { SharedTokens } from '../../../src/token-cache/shared-tokens.ts'
import type { CachedToken, HeldToken, TokenCache } from '../../../src/token-cache/token-cache.ts'
import { tokenKeyText } from '../../../src/token-cache/token-key.ts'
import { keyId, tokenKey, type TokenParts } from '../../support/cached-tokens.ts'
import { createFleet, type Fleet, refreshRules } from '../../support/fleet.ts'
import { grantName } from '../../support/grants.ts'

const key = tokenKey()
const grant = grantName('orders')
const patience = { timeoutMs: 10_000 }

/** The cache of one more replica, and what it asked the token endpoint for. */
function replicaOf(fleet: Fleet, store: SharedTokens = fleet.store) {
  const { memory, flights, drops } = fleet.replica({ store })
  const cache = createFleetTokenCache({
    memory,
    flights,
    drops,
    clock: fleet.clock,
    ...refreshRules,
  })
  let asked = 0
  const fetch = (parts?: TokenParts) => () => {
    asked += 1
    return Promise.resolve(fleet.obtained(key, parts))
  }
  const settledAfter = async (token: Promise<CachedToken>) => {
    const { value } = await token
    await flights.settled()
    return value.reveal()
  }
  return {
    cache,
    drops,
    asked: () => asked,
    obtain: (parts?: TokenParts) =>
      settledAfter(cache.obtain({ key, grant }, keyId, fetch(parts), patience)),
    challenge: (obtainedAfterSeconds: number) =>
      settledAfter(cache.obtain({ key, grant, obtainedAfterSeconds }, keyId, fetch(), patience)),
    refresh: () => settledAfter(cache.refresh({ key, grant }, keyId, fetch())),
    get: () => cache.get({ key, grant })?.value.reveal(),
  }
}

/** Lets time pass until the token in use is due for a refresh. */
function untilDue(fleet: Fleet, cache: TokenCache): void {
  for (let waited = 0; waited < 3600; waited += 10) {
    fleet.clock.advance(10)
    cache.get({ key, grant })
    if (cache.takeDue() !== undefined) return
  }
  throw new Error('nothing was ever due')
}

describe('a token that replicas share', () => {
  test('is served from memory once it was taken', async () => {
    const fleet = createFleet()
    const [first, second] = [replicaOf(fleet), replicaOf(fleet)]
    await first.obtain()
    expect(await second.obtain()).toBe('token 0')
    expect(second.get()).toBe('token 0')
    expect(second.asked()).toBe(0)
    expect(second.cache.entries).toBe(1)
    expect(second.cache.bytes).toBeGreaterThan(0)
  })

  test('is taken by none to which its name is another application', async () => {
    const fleet = createFleet()
    const [first, second] = [replicaOf(fleet), replicaOf(fleet)]
    await first.obtain()
    const clientId = '22222222-0000-4000-8000-000000000002'
    const wish = { key: tokenKey({ clientId }), grant }
    const own = () => Promise.resolve(fleet.obtained(wish.key))
    const { value } = await second.cache.obtain(wish, keyId, own, patience)
    expect(value.reveal()).toBe('token 1')
  })

  test('is refreshed by one replica, and the others take what it got', async () => {
    const fleet = createFleet()
    const [first, second] = [replicaOf(fleet), replicaOf(fleet)]
    await first.obtain()
    await second.obtain()
    untilDue(fleet, first.cache)
    expect(await first.refresh()).toBe('token 1')
    untilDue(fleet, second.cache)
    expect(await second.refresh()).toBe('token 1')
    expect([first.asked(), second.asked()]).toEqual([2, 0])
    expect([first.get(), second.get()]).toEqual(['token 1', 'token 1'])
  })

  test('that is too old for a challenge is obtained anew, once for all replicas', async () => {
    const fleet = createFleet()
    const [first, second] = [replicaOf(fleet), replicaOf(fleet)]
    await first.obtain()
    await second.obtain()
    fleet.clock.advance(60)
    const challengedAt = fleet.clock.nowSeconds() - 10
    expect(await first.challenge(challengedAt)).toBe('token 1')
    expect(await second.challenge(challengedAt)).toBe('token 1')
    expect([first.asked(), second.asked()]).toEqual([2, 0])
  })

  test('is forced by challenges from the future once in half a minute', async () => {
    const fleet = createFleet()
    const [first, second] = [replicaOf(fleet), replicaOf(fleet)]
    const future = fleet.clock.nowSeconds() + 3600
    await first.obtain()
    expect(await first.challenge(future)).toBe('token 1')
    expect(await second.challenge(future)).toBe('token 1')
    fleet.clock.advance(30)
    expect(await second.challenge(future)).toBe('token 2')
  })
})

describe('what one replica drops', () => {
  const isKey = () => true

  test('is served by no other one as soon as that has looked', async () => {
    const fleet = createFleet()
    const [first, second] = [replicaOf(fleet), replicaOf(fleet)]
    await Promise.all([first.drops.look(), second.drops.look()])
    await first.obtain()
    await second.obtain()
    expect(first.cache.drop(isKey)).toBe(1)
    expect(first.get()).toBeUndefined()
    await first.drops.look()
    await second.drops.look()
    expect(second.get()).toBeUndefined()
    expect(await second.obtain()).toBe('token 1')
  })

  test('is gone from the store where no memory has it', async () => {
    const fleet = createFleet()
    const [first, second] = [replicaOf(fleet), replicaOf(fleet)]
    await first.obtain()
    expect(second.cache.drop((held) => held.keyId === keyId && held.grant === grant)).toBe(0)
    await second.drops.look()
    expect(await fleet.store.list()).toEqual([])
  })

  test('is not stored behind that, although only the statement has it that is to store it', async () => {
    const fleet = createFleet()
    const onItsWay = Promise.withResolvers<undefined>()
    const store: SharedTokens = {
      ...fleet.store,
      land: async (lease, token) => {
        await onItsWay.promise
        return fleet.store.land(lease, token)
      },
    }
    const { cache, drops, obtain, get } = replicaOf(fleet, store)
    const obtaining = obtain()
    await expect.poll(get).toBe('token 0')
    // All that it has in memory, because it does not know what was dropped before.
    await drops.look()
    expect(get()).toBeUndefined()
    expect(cache.drop((held) => held.keyId === keyId)).toBe(0)
    await drops.look()
    onItsWay.resolve(undefined)
    await obtaining
    expect(await fleet.store.list()).toEqual([])
  })

  test('is not taken by whoever had read it before', async () => {
    const fleet = createFleet()
    const [read, onItsWay] = [
      Promise.withResolvers<undefined>(),
      Promise.withResolvers<undefined>(),
    ]
    const store: SharedTokens = {
      ...fleet.store,
      find: async (one) => {
        const row = await fleet.store.find(one)
        read.resolve(undefined)
        await onItsWay.promise
        return row
      },
    }
    const [first, second] = [replicaOf(fleet), replicaOf(fleet, store)]
    await second.drops.look()
    await first.obtain()
    const cannot = () => Promise.reject(new Error('nothing to sign with'))
    const finding = second.cache.obtain({ key, grant }, undefined, cannot, patience)
    await read.promise
    second.cache.drop((held) => held.keyId === keyId)
    await second.drops.look()
    onItsWay.resolve(undefined)
    await expect(finding).rejects.toThrow('nothing to sign with')
  })

  test('for itself alone stays with the others, as does what these have obtained since', async () => {
    const fleet = createFleet()
    const [first, second, third] = [replicaOf(fleet), replicaOf(fleet), replicaOf(fleet)]
    const all = [first, second, third]
    const isOld = (held: HeldToken) => held.keyId === 'old'
    for (const one of all) {
      await one.drops.look()
      expect(await one.obtain({ keyId: 'old' })).toBe('token 0')
    }
    expect(first.cache.dropHere(isOld)).toBe(1)
    expect(first.get()).toBeUndefined()
    for (const one of all) await one.drops.look()
    expect(await fleet.store.list()).toEqual([])
    expect([second.get(), third.get()]).toEqual(['token 0', 'token 0'])

    expect(await first.obtain({ keyId: 'new' })).toBe('token 1')
    expect(second.cache.dropHere(isOld)).toBe(1)
    for (const one of all) await one.drops.look()
    expect(await second.obtain({ keyId: 'new' })).toBe('token 1')
    expect(all.map((one) => one.get())).toEqual(['token 1', 'token 1', 'token 0'])
    expect(all.map((one) => one.asked())).toEqual([2, 0, 0])
  })

  test('leaves everything else where it is', async () => {
    const fleet = createFleet()
    const [first, second] = [replicaOf(fleet), replicaOf(fleet)]
    await Promise.all([first.drops.look(), second.drops.look()])
    await first.obtain()
    await second.obtain()
    first.cache.drop((held) => held.grant === 'other')
    await first.drops.look()
    await second.drops.look()
    expect([first.get(), second.get()]).toEqual(['token 0', 'token 0'])
    expect(await fleet.store.list()).toHaveLength(1)
  })

  test('is not taken back from a store that cannot be told, and told later', async () => {
    const fleet = createFleet()
    let isAway = true
    const store: SharedTokens = {
      ...fleet.store,
      drop: (keys) => (isAway ? Promise.reject(new Error('away')) : fleet.store.drop(keys)),
    }
    const [first, second] = [replicaOf(fleet, store), replicaOf(fleet)]
    await first.obtain()
    await second.obtain()
    await second.drops.look()
    first.cache.drop(isKey)
    await expect(first.drops.look()).rejects.toThrow('away')
    expect(await first.obtain()).toBe('token 1')
    isAway = false
    await first.drops.look()
    await second.drops.look()
    expect(second.get()).toBeUndefined()
  })

  test('is all that a replica has when it has not looked for so long that nobody knows what it was', async () => {
    const fleet = createFleet()
    const deaf = replicaOf(fleet, { ...fleet.store, watchDrops: () => undefined })
    await deaf.drops.look()
    await deaf.obtain({ lifetimeSeconds: 20_000 })
    await fleet.store.drop([tokenKeyText(tokenKey({ tenant: 2 }))])
    await deaf.drops.look()
    expect(deaf.get()).toBe('token 0')
    await fleet.store.drop([tokenKeyText(tokenKey({ tenant: 2 }))])
    fleet.clock.advance(7200)
    await fleet.store.tidy()
    expect(deaf.get()).toBe('token 0')
    await deaf.drops.look()
    expect(deaf.get()).toBeUndefined()
  })

  test('may be what a replica has taken before it looked for the first time', async () => {
    const fleet = createFleet()
    const replica = replicaOf(fleet)
    await replica.obtain()
    await replica.drops.look()
    expect(replica.get()).toBeUndefined()
    await replica.obtain()
    await replica.drops.look()
    expect(replica.get()).toBe('token 0')
    expect(replica.asked()).toBe(1)
  })
})
