import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import type { Wanted } from '../../../src/token-cache/fleet-flights.ts'
import type { SharedTokens } from '../../../src/token-cache/shared-tokens.ts'
import type { CachedToken } from '../../../src/token-cache/token-cache.ts'
import { tokenKeyText } from '../../../src/token-cache/token-key.ts'
import { tokenKey } from '../../support/cached-tokens.ts'
import { grantName } from '../../support/grants.ts'
import { createFleet, type Fleet, ToldFailure } from '../../support/fleet.ts'
import { required } from '../../support/required.ts'

const key = tokenKey()
const grant = grantName('orders')
const text = tokenKeyText(key)
const wanted: Wanted = { key, grant, keyId: 'own', forced: false, accepts: () => true }
const younger: Wanted = { ...wanted, forced: true, accepts: ({ forced }) => forced }

/** A token endpoint that answers when it is told to. */
function slowEndpoint(fleet: Fleet) {
  const asked: PromiseWithResolvers<CachedToken>[] = []
  return {
    asked,
    fetch: () => {
      const one = Promise.withResolvers<CachedToken>()
      asked.push(one)
      return one.promise
    },
    answer: (i = 0) => {
      const token = fleet.obtained(key)
      required(asked[i]).resolve(token)
      return token
    },
  }
}

const never = () => Promise.reject(new Error('asked for nothing'))
const until = (holds: () => boolean) => expect.poll(holds).toBe(true)
const values = (tokens: readonly CachedToken[]) => tokens.map(({ value }) => value.reveal())

describe('replicas that miss the same token', () => {
  test('obtain it once, and all have it', async () => {
    const fleet = createFleet()
    const endpoint = slowEndpoint(fleet)
    const replicas = [fleet.replica(), fleet.replica(), fleet.replica()]
    const asking = replicas.map(({ flights }) => flights.obtain(wanted, endpoint.fetch))
    await until(() => endpoint.asked.length > 0)
    await delay(50)
    const token = endpoint.answer()
    expect(values(await Promise.all(asking))).toEqual(Array(3).fill(token.value.reveal()))
    expect(endpoint.asked).toHaveLength(1)
    const seen = replicas.map(({ seen: names }) => names.join(' ')).toSorted()
    expect(seen).toEqual(['miss joined hit', 'miss joined hit', 'miss led'])
  })

  test('take it from one another for as long as it lasts, and then obtain it again', async () => {
    const fleet = createFleet()
    const [first, second] = [fleet.replica(), fleet.replica()]
    await first.flights.obtain(wanted, () => Promise.resolve(fleet.obtained(key)))
    await first.flights.settled()
    fleet.clock.advance(3300)
    await second.flights.obtain(wanted, never)
    fleet.clock.advance(1)
    const later = await second.flights.obtain(wanted, () => Promise.resolve(fleet.obtained(key)))
    expect(later.value.reveal()).toBe('token 1')
    expect(second.seen).toEqual(['hit', 'miss', 'led'])
  })

  test('do not take the token of another key', async () => {
    const fleet = createFleet()
    const endpoint = slowEndpoint(fleet)
    const other = { ...wanted, key: tokenKey({ tenant: 2 }) }
    void fleet.replica().flights.obtain(wanted, endpoint.fetch)
    void fleet.replica().flights.obtain(other, endpoint.fetch)
    await until(() => endpoint.asked.length === 2)
  })

  test('take nothing of a key version that the application has not by their own configuration', async () => {
    const fleet = createFleet()
    const obtained = (keyId: string) => fleet.obtained(key, { keyId })
    const [before, behind, last] = ['before', 'behind', 'behind'].map((own) =>
      fleet.replica({ hasKey: (keyId) => keyId === own }),
    )
    const first = required(before).flights.obtain(wanted, () => Promise.resolve(obtained('before')))
    expect((await first).keyId).toBe('before')
    await required(before).flights.settled()
    const second = required(behind).flights.obtain(wanted, () =>
      Promise.resolve(obtained('behind')),
    )
    expect((await second).keyId).toBe('behind')
    await required(behind).flights.settled()
    expect((await required(last).flights.obtain(wanted, never)).keyId).toBe('behind')
    expect(required(last).seen).toEqual(['hit'])
  })

  test('obtain a younger one where the one that comes will not do', async () => {
    const fleet = createFleet()
    const endpoint = slowEndpoint(fleet)
    const ordinary = fleet.replica().flights.obtain(wanted, endpoint.fetch)
    await until(() => endpoint.asked.length === 1)
    const forced = fleet.replica().flights.obtain(younger, endpoint.fetch)
    const old = endpoint.answer(0)
    expect((await ordinary).value.reveal()).toBe(old.value.reveal())
    await until(() => endpoint.asked.length === 2)
    const young = endpoint.answer(1)
    expect((await forced).value.reveal()).toBe(young.value.reveal())
  })
})

describe('a replica that can sign nothing', () => {
  const found: Wanted = { ...wanted, keyId: undefined }
  const cannot = () => Promise.reject(new Error('nothing to sign with'))

  test('has what another one has obtained', async () => {
    const fleet = createFleet()
    const first = fleet.replica()
    const token = await first.flights.obtain(wanted, () => Promise.resolve(fleet.obtained(key)))
    await first.flights.settled()
    const taken = await fleet.replica().flights.obtain(found, never)
    expect(taken.value.reveal()).toBe(token.value.reveal())
  })

  test('waits for what another one is obtaining', async () => {
    const fleet = createFleet()
    const endpoint = slowEndpoint(fleet)
    void fleet.replica().flights.obtain(wanted, endpoint.fetch)
    await until(() => endpoint.asked.length === 1)
    const waiting = fleet.replica().flights.obtain(found, never)
    await delay(50)
    const token = endpoint.answer()
    expect((await waiting).value.reveal()).toBe(token.value.reveal())
  })

  test('leads nothing where nobody is, and is not in the way of one that can', async () => {
    const fleet = createFleet()
    const unable = fleet.replica()
    await expect(unable.flights.obtain(found, cannot)).rejects.toThrow('nothing to sign with')
    expect(unable.seen).toEqual(['miss'])
    expect(await fleet.store.flight(text)).toBeUndefined()
    const lease = required(await fleet.store.lead(text))
    await fleet.store.giveUp(lease, 'ENTRA_REFUSED')
    await expect(unable.flights.obtain(found, cannot)).rejects.toThrow('nothing to sign with')
  })
})

describe('a flight that fails', () => {
  test('is told to those who wait, by its code, and is over for whoever comes later', async () => {
    const fleet = createFleet()
    const endpoint = slowEndpoint(fleet)
    const asking = [1, 2, 3].map(() => fleet.replica().flights.obtain(wanted, endpoint.fetch))
    await until(() => endpoint.asked.length === 1)
    await delay(50)
    required(endpoint.asked[0]).reject(new ToldFailure('ENTRA_REFUSED'))
    const outcomes = await Promise.allSettled(asking)
    for (const outcome of outcomes) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: { message: 'ENTRA_REFUSED' } })
    }
    expect(endpoint.asked).toHaveLength(1)
    const later = fleet.replica().flights.obtain(wanted, endpoint.fetch)
    await until(() => endpoint.asked.length === 2)
    const token = endpoint.answer(1)
    expect((await later).value.reveal()).toBe(token.value.reveal())
  })

  test('is no failure to a replica with another key version, which tries for itself', async () => {
    const fleet = createFleet()
    const endpoint = slowEndpoint(fleet)
    const refused = fleet.replica().flights.obtain(wanted, endpoint.fetch)
    await until(() => endpoint.asked.length === 1)
    const [same, other, unable] = ['own', 'other', undefined].map((keyId) => {
      const replica = fleet.replica()
      return { replica, asking: replica.flights.obtain({ ...wanted, keyId }, endpoint.fetch) }
    })
    const settled = Promise.allSettled([refused, same?.asking, unable?.asking])
    for (const one of [same, other, unable]) {
      await until(() => required(one).replica.seen.includes('joined'))
    }
    await delay(50)
    required(endpoint.asked[0]).reject(new ToldFailure('ENTRA_REFUSED'))
    await until(() => endpoint.asked.length === 2)
    const token = endpoint.answer(1)
    expect((await required(other).asking).value.reveal()).toBe(token.value.reveal())
    const failed = { status: 'rejected', reason: { message: 'ENTRA_REFUSED' } }
    expect((await settled).slice(0, 2)).toMatchObject([failed, failed])
    expect(endpoint.asked).toHaveLength(2)
  })

  test('with a failure that is nobody else’s business lets the next one try, one at a time', async () => {
    const fleet = createFleet()
    const endpoint = slowEndpoint(fleet)
    const asking = [1, 2, 3].map(() => fleet.replica().flights.obtain(wanted, endpoint.fetch))
    const settled = Promise.allSettled(asking)
    for (const i of [0, 1]) {
      await until(() => endpoint.asked.length === i + 1)
      await delay(30)
      expect(endpoint.asked).toHaveLength(i + 1)
      required(endpoint.asked[i]).reject(new Error('a ledger of its own'))
    }
    await until(() => endpoint.asked.length === 3)
    endpoint.answer(2)
    const statuses = (await settled).map(({ status }) => status).toSorted()
    expect(statuses).toEqual(['fulfilled', 'rejected', 'rejected'])
  })
})

describe('a replica that leads', () => {
  test('keeps the lead for as long as it is at work', async () => {
    const fleet = createFleet()
    const endpoint = slowEndpoint(fleet)
    const leading = fleet.replica().flights.obtain(wanted, endpoint.fetch)
    await until(() => endpoint.asked.length === 1)
    const waiting = fleet.replica().flights.obtain(wanted, endpoint.fetch)
    for (let i = 0; i < 5; i += 1) {
      fleet.clock.advance((fleet.leaseMs / 1000) * 0.8)
      await delay(40)
    }
    endpoint.answer()
    await Promise.all([leading, waiting])
    expect(endpoint.asked).toHaveLength(1)
  })

  test('is replaced when it is gone, and lands nothing if it comes back', async () => {
    const fleet = createFleet()
    const endpoint = slowEndpoint(fleet)
    // It hangs: it renews nothing, and does not know it.
    const stuck = fleet.replica({
      store: { ...fleet.store, renew: () => new Promise(() => undefined) },
    })
    const late = stuck.flights.obtain(wanted, endpoint.fetch)
    await until(() => endpoint.asked.length === 1)
    const next = fleet.replica()
    const waiting = next.flights.obtain(wanted, endpoint.fetch)
    await delay(50)
    expect(endpoint.asked).toHaveLength(1)
    fleet.clock.advance(fleet.leaseMs / 1000 + 1)
    await until(() => endpoint.asked.length === 2)

    const lost = endpoint.answer(0)
    expect((await late).value.reveal()).toBe(lost.value.reveal())
    await stuck.flights.settled()
    expect(stuck.seen).toEqual(['miss', 'led', 'lost'])
    expect(await fleet.store.find(text)).toBeUndefined()

    const token = endpoint.answer(1)
    await waiting
    await next.flights.settled()
    const taken = await fleet.replica().flights.obtain(wanted, never)
    expect(taken.value.reveal()).toBe(token.value.reveal())
  })

  test('gives the lead back when the token has come meanwhile', async () => {
    const fleet = createFleet()
    const first = fleet.replica()
    let looked = 0
    const behind: SharedTokens = {
      ...fleet.store,
      // It looks before the other one lands, and asks for the lead after.
      find: async (one) => {
        looked += 1
        return looked === 1 ? undefined : fleet.store.find(one)
      },
    }
    const token = await first.flights.obtain(wanted, () => Promise.resolve(fleet.obtained(key)))
    await first.flights.settled()
    const second = fleet.replica({ store: behind })
    const taken = await second.flights.obtain(wanted, never)
    expect(taken.value.reveal()).toBe(token.value.reveal())
    await second.flights.settled()
    expect(await fleet.store.flight(text)).toBeUndefined()
  })
})

describe('sharing that does not work', () => {
  const away = () => Promise.reject(new Error('away'))
  const broken: Record<string, Partial<SharedTokens>> = {
    'cannot look': { find: away },
    'cannot lead': { lead: away },
    'cannot renew': { renew: away },
    'cannot land, nor give up': { land: away, giveUp: away },
  }
  test.each(Object.entries(broken))('%s: the token is obtained all the same', async (_, parts) => {
    const fleet = createFleet()
    const replica = fleet.replica({ store: { ...fleet.store, ...parts } })
    const token = await replica.flights.obtain(wanted, async () => {
      await delay(30)
      return fleet.obtained(key)
    })
    expect(token.value.reveal()).toBe('token 0')
    await replica.flights.settled()
    expect(replica.seen).toContain('not-shared')
  })

  test('cannot wait: the token is obtained beside whoever leads', async () => {
    const fleet = createFleet()
    const endpoint = slowEndpoint(fleet)
    void fleet.replica().flights.obtain(wanted, endpoint.fetch)
    await until(() => endpoint.asked.length === 1)
    const replica = fleet.replica({ store: { ...fleet.store, flight: away } })
    void replica.flights.obtain(wanted, endpoint.fetch)
    await until(() => endpoint.asked.length === 2)
  })

  test('never hides how obtaining fails', async () => {
    const fleet = createFleet()
    for (const parts of [{}, ...Object.values(broken)]) {
      const replica = fleet.replica({ store: { ...fleet.store, ...parts } })
      const failing = () => Promise.reject(new ToldFailure('ENTRA_REFUSED'))
      await expect(replica.flights.obtain(wanted, failing)).rejects.toThrow('ENTRA_REFUSED')
      await replica.flights.settled()
    }
  })

  test('cannot seal: the others are not left waiting', async () => {
    const fleet = createFleet()
    const replica = fleet.replica()
    const odd = () => Promise.resolve({ ...fleet.obtained(key), expiresAtSeconds: 0.5 })
    await replica.flights.obtain(wanted, odd)
    await replica.flights.settled()
    expect(replica.seen).toEqual(['miss', 'led', 'not-shared'])
    expect(await fleet.store.flight(text)).toBeUndefined()
  })
})
