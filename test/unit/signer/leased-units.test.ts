import { describe, expect, test } from 'vitest'
import { instantNow, laterBy } from '../../../src/base/clock.ts'
import { LeasedUnits } from '../../../src/signer/leased-units.ts'
import { fixedClock } from '../../support/fixed-clock.ts'

/** Leases that may be taken from for 2 s, and asked with for 15 s. */
function createUnits() {
  const clock = fixedClock(1000)
  const units = new LeasedUnits(clock)
  const lease = (id: string, count: number) => {
    const now = instantNow(clock)
    units.add(id, count, { usableUntil: laterBy(2000, now), askUntil: laterBy(15_000, now) })
  }
  return { clock, units, lease }
}

describe('units of several leases', () => {
  test('are taken from the oldest first, and must be asked for while that one counts', () => {
    const { clock, units, lease } = createUnits()
    lease('old', 3)
    clock.advance(1)
    lease('new', 3)

    expect(units.free()).toBe(6)
    const until = units.take(4)
    expect(until.monotonicMs - clock.monotonicMs()).toBe(14_000)
    expect(units.free()).toBe(2)
    expect(() => units.take(3)).toThrow(TypeError)
  })

  test('are of no use any more when the lease has been usable for so long', () => {
    const { clock, units, lease } = createUnits()
    lease('old', 3)
    clock.advance(1.9)

    expect([units.free(), units.free(250), units.nextEndMs()]).toEqual([3, 0, 100])
    clock.advance(0.1)
    expect([units.free(), units.nextEndMs()]).toEqual([0, 0])
  })

  test('are of no use any more when the wall clock says so alone: the machine may have slept', () => {
    const { clock, units, lease } = createUnits()
    lease('old', 3)
    clock.jump(2)

    expect(units.free()).toBe(0)
  })

  test('are reported when all have been asked for', () => {
    const { units, lease } = createUnits()
    lease('one', 3)
    units.take(3)
    units.asked(2)
    expect(units.reports()).toEqual([])
    units.asked(1)

    expect(units.reports()).toEqual([{ leaseId: 'one', units: 3, isOver: true }])
    expect(units.reports()).toEqual([])
  })

  test('are reported when nobody wanted the rest in time', () => {
    const { clock, units, lease } = createUnits()
    lease('one', 3)
    units.take(1)
    units.asked(1)
    clock.advance(2)

    expect(units.reports()).toEqual([{ leaseId: 'one', units: 1, isOver: true }])
  })

  test('go on counting while they are under way, without what nobody will take', () => {
    const { clock, units, lease } = createUnits()
    lease('one', 5)
    units.take(2)
    units.asked(1)
    clock.advance(2)

    expect(units.reports()).toEqual([{ leaseId: 'one', units: 2, isOver: false }])
    expect(units.reports()).toEqual([])
    units.asked(1)
    expect(units.reports()).toEqual([{ leaseId: 'one', units: 2, isOver: true }])
  })

  test('that were given back can be taken again, or are reported with what was not', () => {
    const { clock, units, lease } = createUnits()
    lease('one', 2)
    units.take(2)
    units.giveBack(2)
    units.take(1)
    units.asked(1)
    expect(units.free()).toBe(1)
    clock.advance(2)

    expect(units.reports()).toEqual([{ leaseId: 'one', units: 1, isOver: true }])
  })

  test('end the oldest lease first, whosever were answered', () => {
    const { clock, units, lease } = createUnits()
    lease('old', 1)
    units.take(1)
    clock.advance(1)
    lease('new', 1)
    units.take(1)
    units.asked(1)

    expect(units.reports()).toEqual([{ leaseId: 'old', units: 1, isOver: true }])
  })

  test('are counted anew when they took longer than anybody counted on', () => {
    const { clock, units, lease } = createUnits()
    lease('one', 3)
    units.take(3)
    clock.advance(14)
    expect(units.asked(1)).toBe(0)
    clock.advance(1)
    expect(units.asked(2)).toBe(2)
  })

  test('end with the process: what is under way goes on counting', () => {
    const { units, lease } = createUnits()
    lease('idle', 3)
    lease('busy', 3)
    units.take(4)
    units.asked(3)

    expect(units.end()).toEqual([
      { leaseId: 'idle', units: 3, isOver: true },
      { leaseId: 'busy', units: 1, isOver: false },
    ])
    expect(units.free()).toBe(0)
  })
})
