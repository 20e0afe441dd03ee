import { randomUUID } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { LendingTerms, UnitLender, UnitTrade } from '../../src/signer/unit-lender.ts'
import { required } from '../support/required.ts'

/** What the replicas of a test lease from. */
export interface LendingPlace {
  readonly unitsMax: number
  readonly terms: LendingTerms
  /** As one more replica opens it. */
  open(): UnitLender
  /** Lets time pass for the lender. */
  pass(ms: number): Promise<void>
  remove(): Promise<void>
}

export const newTrade = (trade: Partial<UnitTrade> = {}): UnitTrade => ({
  needed: 0,
  wanted: 0,
  waiting: 0,
  leaseId: randomUUID(),
  reports: [],
  charged: 0,
  ...trade,
})

/** What every lender promises, wherever it keeps the budget: of 40 units. */
export function describeUnitLender(
  name: string,
  createPlace: () => LendingPlace | Promise<LendingPlace>,
): void {
  describe(name, () => {
    let place: LendingPlace
    let one: UnitLender
    let other: UnitLender
    beforeEach(async () => {
      place = await createPlace()
      one = place.open()
      other = place.open()
    })
    afterEach(() => place.remove())

    const lease = async (from: UnitLender, needed: number, wanted = needed) => {
      const asked = newTrade({ needed, wanted, waiting: needed })
      const { granted } = await from.trade(asked)
      return { leaseId: asked.leaseId, granted }
    }
    const free = async (at = one) => (await at.trade(newTrade())).free

    test('lends what is asked for, as long as it is there, to whoever asks', async () => {
      expect((await lease(one, 1, 30)).granted).toBe(30)
      expect((await lease(other, 1, 30)).granted).toBe(10)
      expect((await lease(one, 1, 30)).granted).toBe(0)
      expect(await free()).toBe(0)
    })

    test('lends what is needed or nothing', async () => {
      await lease(one, 35)
      expect((await lease(other, 6)).granted).toBe(0)
      expect((await lease(other, 5)).granted).toBe(5)
    })

    test('never lends more than there is, however many ask at one moment', async () => {
      const replicas = Array.from({ length: 6 }, () => place.open())
      const leases = await Promise.all(
        replicas.flatMap((from) => Array.from({ length: 8 }, () => lease(from, 1, 3))),
      )
      expect(leases.reduce((all, { granted }) => all + granted, 0)).toBe(40)
    })

    test('has back at once what was not used, and the rest when its time is over', async () => {
      const { leaseId } = await lease(one, 40)
      const reports = [{ leaseId, units: 15, isOver: true }]
      expect((await one.trade(newTrade({ reports }))).free).toBe(25)
      await place.pass(place.terms.windowMs / 2)
      expect(await free(other)).toBe(25)
      await place.pass(place.terms.windowMs / 2 + 20)
      expect(await free(other)).toBe(40)
    })

    test('counts what is still under way for as long as the lease may last', async () => {
      const { leaseId } = await lease(one, 40)
      const reports = [{ leaseId, units: 15, isOver: false }]
      expect((await one.trade(newTrade({ reports }))).free).toBe(25)
      await place.pass(place.terms.windowMs + 20)
      expect(await free()).toBe(25)
      await place.pass(place.terms.askedWithinMs)
      expect(await free()).toBe(40)
    })

    test('counts a lease in full for as long as it may have been used, when nobody reports', async () => {
      await lease(one, 40)
      await place.pass(place.terms.windowMs + place.terms.usableMs)
      expect(await free(other)).toBe(0)
      await place.pass(place.terms.askedWithinMs - place.terms.usableMs + 20)
      expect(await free(other)).toBe(40)
    })

    test('is told twice of one lease as if it were once, and does not mind a lease that never was', async () => {
      const { leaseId } = await lease(one, 40)
      const reports = [
        { leaseId, units: 15, isOver: true },
        { leaseId: randomUUID(), units: 0, isOver: true },
      ]
      await one.trade(newTrade({ reports }))
      expect((await one.trade(newTrade({ reports }))).free).toBe(25)
    })

    test('counts what was asked for without a lease, even past the end', async () => {
      await lease(one, 38)
      expect((await other.trade(newTrade({ charged: 5 }))).free).toBe(-3)
      await place.pass(place.terms.windowMs + 20)
      expect(await free()).toBe(2)
    })

    test('keeps what whoever waits longest needs from those who came later', async () => {
      const { leaseId } = await lease(one, 40)
      const wish = { needed: 8, wanted: 8, waiting: 8 }
      expect((await other.trade(newTrade(wish))).granted).toBe(0)
      const reports = [{ leaseId, units: 31, isOver: true }]
      const later = await one.trade(newTrade({ needed: 1, wanted: 9, waiting: 9, reports }))
      expect(later).toMatchObject({ granted: 1, free: 8, kept: 8, others: [8] })
      expect((await one.trade(newTrade({ needed: 1, wanted: 1, waiting: 1 }))).granted).toBe(0)
      expect((await other.trade(newTrade(wish))).granted).toBe(8)
    })

    test('keeps it for whoever goes on asking alone', async () => {
      const { leaseId } = await lease(one, 40)
      await other.trade(newTrade({ needed: 8, wanted: 8, waiting: 8 }))
      const reports = [{ leaseId, units: 0, isOver: true }]
      await one.trade(newTrade({ reports }))
      await place.pass(place.terms.placeMs + 20)
      expect(await one.trade(newTrade({ needed: 1, wanted: 40, waiting: 40 }))).toMatchObject({
        granted: 40,
        kept: 0,
        others: [],
      })
    })

    test('puts whoever was served at the end of those who wait', async () => {
      const { leaseId } = await lease(one, 40)
      const wish = { needed: 2, wanted: 2, waiting: 4 }
      await other.trade(newTrade(wish))
      await place.pass(5)
      await one.trade(newTrade(wish))
      const reports = [{ leaseId, units: 36, isOver: true }]
      expect((await other.trade(newTrade({ ...wish, reports }))).granted).toBe(2)
      expect(await other.trade(newTrade({ ...wish, waiting: 2 }))).toMatchObject({
        granted: 0,
        kept: 2,
        others: [4],
      })
      expect((await one.trade(newTrade(wish))).granted).toBe(2)
    })

    test('says when units come back: those that are lent out, as if they were asked for at once', async () => {
      const { leaseId } = await lease(one, 10)
      await lease(other, 20)
      await place.pass(100)
      const reports = [{ leaseId, units: 10, isOver: true }]
      const { returns } = await one.trade(newTrade({ reports }))
      expect(returns.map(({ units }) => units)).toEqual([20, 10])
      const { windowMs } = place.terms
      const [lent, asked] = returns.map(({ inMs }) => inMs)
      // Rounded up.
      expect(required(lent)).toBeLessThanOrEqual(windowMs - 50)
      expect(required(asked)).toBeGreaterThanOrEqual(windowMs)
      expect(required(asked)).toBeLessThanOrEqual(windowMs + 50)
    })
  })
}
