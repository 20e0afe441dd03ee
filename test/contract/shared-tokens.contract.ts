import { randomBytes, randomUUID } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Lease, SharedTokens } from '../../src/token-cache/shared-tokens.ts'
import { tokenKeyText } from '../../src/token-cache/token-key.ts'
import { keyId, tokenKey } from '../support/cached-tokens.ts'
import { grantName } from '../support/grants.ts'
import { required } from '../support/required.ts'

/** What the replicas of a test share: outlives every opening of it. */
export interface SharedPlace {
  /** As one more replica opens it. */
  open(): Promise<SharedTokens>
  /** Lets time pass for the store: a lease lasts for `leaseMs`. */
  pass(ms: number): Promise<void>
  readonly leaseMs: number
  remove(): Promise<void>
}

const keyOf = (tenant: number) => tokenKeyText(tokenKey({ tenant }))
const key = keyOf(1)

const sealedToken = (expiresAtSeconds = 1_790_003_600) => ({
  // The bytes that something in between may take for text or an end.
  sealed: Buffer.concat([Buffer.from([0x00, 0xff, 0x27, 0x5c, 0x0a]), randomBytes(3000)]),
  expiresAtSeconds,
  grant: grantName('orders'),
  keyId,
})

/** What every store that replicas share promises, whatever it keeps it in. */
export function describeSharedTokens(
  name: string,
  createPlace: () => SharedPlace | Promise<SharedPlace>,
): void {
  describe(name, () => {
    let place: SharedPlace
    let store: SharedTokens
    let other: SharedTokens
    beforeEach(async () => {
      place = await createPlace()
      store = await place.open()
      other = await place.open()
    })
    afterEach(() => place.remove())

    const led = async (by = store, of = key): Promise<Lease> => required(await by.lead(of))

    test('has neither token nor flight before anybody leads', async () => {
      expect(await store.find(key)).toBeUndefined()
      expect(await store.flight(key)).toBeUndefined()
    })

    test('gives the lead of a key to one of many who ask at once', async () => {
      const replicas = [store, other, await place.open()]
      const asked = Array.from({ length: 30 }, (_, i) => required(replicas[i % 3]).lead(key))
      const leases = (await Promise.all(asked)).filter((lease) => lease !== undefined)
      expect(leases).toHaveLength(1)
      expect(await other.flight(key)).toEqual({ leaseId: leases[0]?.id, state: 'under-way' })
    })

    test('gives the lead of many keys, each to one, whatever the order in which they are asked for', async () => {
      const keys = Array.from({ length: 60 }, (_, i) => keyOf(i))
      const asked = [
        ...keys.map((one) => store.lead(one)),
        ...keys.toReversed().map((one) => other.lead(one)),
      ]
      const leases = (await Promise.all(asked)).filter((lease) => lease !== undefined)
      expect(new Set(leases.map((lease) => lease.key)).size).toBe(60)
      expect(leases).toHaveLength(60)
      const landed = await Promise.all(
        leases.map((lease, i) => (i % 2 === 0 ? store : other).land(lease, sealedToken(i))),
      )
      expect(landed.every(Boolean)).toBe(true)
    })

    test('lands once: token stored, flight over, for every replica', async () => {
      const lease = await led()
      const token = sealedToken()
      expect(await store.land(lease, token)).toBe(true)
      for (const one of [store, other, await place.open()]) {
        expect(await one.find(key)).toMatchObject(token)
        expect(await one.flight(key)).toBeUndefined()
        expect(await one.find(keyOf(2))).toBeUndefined()
      }
      expect(await store.land(lease, sealedToken())).toBe(false)
      expect(await other.find(key)).toMatchObject(token)
    })

    test('says how old a token is', async () => {
      await store.land(await led(), sealedToken())
      const before = required(await other.find(key)).ageMs
      expect(before).toBeGreaterThanOrEqual(0)
      await place.pass(50)
      expect(required(await other.find(key)).ageMs).toBeGreaterThanOrEqual(before + 50)
    })

    test('puts a later token in the place of the one before', async () => {
      await store.land(await led(), sealedToken(1))
      const later = sealedToken(2)
      await other.land(await led(other), later)
      expect(await store.find(key)).toMatchObject(later)
    })

    test('gives the lead away when a lease ends, and nothing to whoever held it before', async () => {
      const late = await led()
      await place.pass(place.leaseMs + 1)
      expect(await other.flight(key)).toEqual({ leaseId: late.id, state: 'abandoned' })
      const lease = await led(other)
      expect(lease.id).not.toBe(late.id)
      expect(await store.renew(late)).toBe(false)
      expect(await store.land(late, sealedToken(1))).toBe(false)
      await store.giveUp(late, 'ENTRA_REFUSED')
      expect(await store.flight(key)).toEqual({ leaseId: lease.id, state: 'under-way' })
      expect(await store.find(key)).toBeUndefined()
      expect(await other.land(lease, sealedToken(2))).toBe(true)
    })

    test('takes the token of a lease that has ended, as long as nobody else leads', async () => {
      const late = await led()
      await place.pass(place.leaseMs + 1)
      expect(await store.land(late, sealedToken())).toBe(true)
    })

    test('keeps the lead with whoever renews it', async () => {
      const lease = await led()
      for (let i = 0; i < 3; i += 1) {
        await place.pass(place.leaseMs * 0.6)
        expect(await store.renew(lease)).toBe(true)
        expect(await other.lead(key)).toBeUndefined()
      }
      expect(await store.renew({ key, id: randomUUID() })).toBe(false)
    })

    test('says how a flight failed, and lets the next one lead at once', async () => {
      const lease = await led()
      await store.giveUp(lease, 'ENTRA_REFUSED')
      expect(await other.flight(key)).toEqual({
        leaseId: lease.id,
        state: 'failed',
        failure: 'ENTRA_REFUSED',
      })
      expect(await store.land(lease, sealedToken())).toBe(false)
      const next = await led(other)
      expect(await store.flight(key)).toEqual({ leaseId: next.id, state: 'under-way' })
    })

    test('leaves nothing of a flight that was given up without a reason', async () => {
      await store.giveUp(await led())
      expect(await other.flight(key)).toBeUndefined()
      expect(await other.lead(key)).toBeDefined()
    })

    test.each(['land', 'giveUp'] as const)('tells other replicas that watch: %s', async (end) => {
      const lease = await led()
      const told = Promise.withResolvers<undefined>()
      let others = 0
      other.watch(keyOf(2), () => (others += 1))
      const stop = other.watch(key, () => {
        told.resolve(undefined)
      })
      // Whoever has asked something hears.
      await other.find(key)
      await (end === 'land' ? store.land(lease, sealedToken()) : store.giveUp(lease, 'FAILED'))
      await told.promise
      stop()
      expect(others).toBe(0)
    })

    test('lists every token, page by page', async () => {
      const keys = Array.from({ length: 7 }, (_, i) => keyOf(i))
      for (const one of keys) await store.land(await led(store, one), sealedToken())
      const listed: string[] = []
      for (let page = await other.list(); page.length > 0; page = await other.list(listed.at(-1))) {
        listed.push(...page.map((one) => one.key))
      }
      expect(listed.toSorted()).toEqual(keys.toSorted())
      expect((await other.list())[0]).toMatchObject({ grant: 'orders', keyId })
    })

    test('drops tokens and flights of the keys that are meant, and no others', async () => {
      for (const tenant of [1, 2]) {
        await store.land(await led(store, keyOf(tenant)), sealedToken())
      }
      const [lease, untouched] = [await led(store, keyOf(3)), await led(store, keyOf(4))]
      await other.drop([keyOf(1), keyOf(3), keyOf(5)])
      expect(await store.find(keyOf(1))).toBeUndefined()
      expect(await store.find(keyOf(2))).toBeDefined()
      expect(await store.land(lease, sealedToken())).toBe(false)
      expect(await store.land(untouched, sealedToken())).toBe(true)
    })

    test('removes tokens that are as they were listed, and tells nobody', async () => {
      for (const tenant of [1, 2, 3]) {
        await store.land(await led(store, keyOf(tenant)), sealedToken())
      }
      const lease = await led(store, keyOf(1))
      const { epoch } = await store.dropsSince(0)
      await other.remove([
        { key: keyOf(1), keyId },
        { key: keyOf(2), keyId: `${keyId}0` },
        { key: keyOf(4), keyId },
      ])
      const there = await Promise.all([1, 2, 3].map((tenant) => store.find(keyOf(tenant))))
      expect(there.map((row) => row !== undefined)).toEqual([false, true, true])
      expect(await store.dropsSince(epoch)).toEqual({ epoch, keys: new Set() })
      expect(await store.land(lease, sealedToken())).toBe(true)
      await other.remove([])
      expect(await store.find(keyOf(1))).toBeDefined()
    })

    test('lets each replica know what was dropped since it looked last', async () => {
      const { epoch: start } = await store.dropsSince(0)
      expect(await store.dropsSince(start)).toEqual({ epoch: start, keys: new Set() })
      await other.drop([keyOf(1), keyOf(2)])
      await other.drop([keyOf(1)])
      expect(await store.dropsSince(start)).toEqual({
        epoch: start + 2,
        keys: new Set([keyOf(1), keyOf(2)]),
      })
      expect(await store.dropsSince(start + 1)).toEqual({
        epoch: start + 2,
        keys: new Set([keyOf(1)]),
      })
      await other.drop([])
      expect(await store.dropsSince(start + 2)).toEqual({ epoch: start + 2, keys: new Set() })
    })

    test('numbers drops of many replicas at once without a gap', async () => {
      const { epoch: start } = await store.dropsSince(0)
      const dropping = Array.from({ length: 20 }, (_, i) =>
        (i % 2 === 0 ? store : other).drop([keyOf(i)]),
      )
      await Promise.all(dropping)
      const drops = await store.dropsSince(start)
      expect(drops.epoch).toBe(start + 20)
      expect(drops.keys?.size).toBe(20)
    })

    test('hints at a drop', async () => {
      const told = Promise.withResolvers<undefined>()
      other.watchDrops(() => {
        told.resolve(undefined)
      })
      await other.find(key)
      await store.drop([key])
      await told.promise
    })

    test('tidies away what is dead, and nothing that lives', async () => {
      await store.land(await led(store, keyOf(1)), sealedToken(1_000_000))
      await store.land(await led(store, keyOf(2)), sealedToken(4_000_000_000))
      const lease = await led(store, keyOf(3))
      await other.tidy()
      expect(await store.find(keyOf(1))).toBeUndefined()
      expect(await store.find(keyOf(2))).toBeDefined()
      expect(await store.renew(lease)).toBe(true)
    })
  })
}
