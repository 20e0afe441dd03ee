import { describe, expect, test } from 'vitest'
import { LearnedRate } from '../../../src/signer/learned-rate.ts'
import { fc } from '../../support/drawn-cases.ts'

/** In ten seconds. */
const unitsMax = 1600
const most = unitsMax / 10_000

/** A vault that let so many pass and then refused one more, and is asked again since. */
function refusedAfter(passed: number, askedAgainAtMs = 1_000): LearnedRate {
  const rate = new LearnedRate(unitsMax)
  if (passed > 0) rate.passed(passed, 0)
  rate.refused(0)
  rate.askedAgain(askedAgainAtMs)
  return rate
}

test('a vault that has refused nothing is asked however fast', () => {
  const rate = new LearnedRate(unitsMax)
  rate.passed(unitsMax, 0)
  rate.askedAgain(0)
  expect(rate.unitsPerMs(1)).toBe(Infinity)
  expect(rate.units(1)).toBe(unitsMax)
  expect(rate.grownInMs(1)).toBe(0)
})

describe('a vault that has refused something', () => {
  test('is asked for as much as it let pass in ten seconds', () => {
    expect(refusedAfter(200).unitsPerMs(1_000)).toBeCloseTo(200 / 10_000, 10)
  })

  test('is judged by those ten seconds alone', () => {
    const rate = new LearnedRate(unitsMax)
    rate.passed(1000, 0)
    rate.passed(300, 10_000)
    rate.refused(10_001)
    rate.askedAgain(10_002)
    expect(rate.unitsPerMs(10_002)).toBeCloseTo(300 / 10_000, 10)
  })

  test('is given more only from when it is asked again, whatever it signs meanwhile', () => {
    const rate = new LearnedRate(unitsMax)
    rate.passed(200, 0)
    rate.refused(0)
    rate.passed(1, 100)
    const grownInMs = rate.grownInMs(0)
    expect(grownInMs).toBeGreaterThan(0)
    for (const nowMs of [100, 5_000, 50_000]) {
      expect(rate.units(nowMs)).toBe(200)
      expect(rate.grownInMs(nowMs)).toBeCloseTo(grownInMs, 5)
    }
    rate.askedAgain(50_000)
    expect(rate.units(50_000)).toBe(200)
    expect(rate.units(52_000)).toBe(400)
  })

  test('is asked for more and more from then on, and for all when it says', () => {
    fc.assert(
      fc.property(fc.nat(unitsMax), fc.nat(20_000), fc.nat(20_000), (passed, one, other) => {
        const rate = refusedAfter(passed, 0)
        const [before, after] = [Math.min(one, other), Math.max(one, other)]
        expect(rate.unitsPerMs(before)).toBeGreaterThan(0)
        expect(rate.unitsPerMs(after)).toBeGreaterThanOrEqual(rate.unitsPerMs(before))
        const grownInMs = rate.grownInMs(before)
        expect(rate.unitsPerMs(before + grownInMs + 1)).toBeGreaterThanOrEqual(most)
        if (grownInMs > 1) expect(rate.unitsPerMs(before + grownInMs - 1)).toBeLessThan(most)
      }),
    )
  })

  test('is asked as RFC 9438 says: W_cubic(t) = C (t − K)³ + W_max, with a K of 0', () => {
    // C, so that it takes four seconds from nothing to all.
    const c = most / 4_000 ** 3
    const rate = refusedAfter(200, 0)
    for (const t of [0, 1_000, 2_000, 3_000]) {
      expect(rate.unitsPerMs(t)).toBeCloseTo(c * t ** 3 + 0.02, 10)
    }
  })

  test('is asked evenly until a whole window of its own has passed', () => {
    const rate = refusedAfter(200, 0)
    expect([4_000, 9_999].map((t) => rate.unitsPerMs(t))).toEqual([most, most])
    expect(rate.unitsPerMs(10_000)).toBe(Infinity)
  })

  test('is asked for one signature with the largest key when nothing passed', () => {
    expect(refusedAfter(0).unitsPerMs(1_000)).toBeCloseTo(8 / 10_000, 10)
  })

  test('is reckoned with as if it were well after one refusal, and at its pace after the next', () => {
    const rate = refusedAfter(20, 0)
    // All of it within four seconds, and then two hundred at a hundred and sixty a second.
    expect(rate.waitMs(200, 0)).toBeCloseTo(rate.grownInMs(0) + 1_250, 5)
    expect(rate.waitMs(1, 0)).toBeCloseTo(500, 5)
    rate.refused(100)
    expect(rate.waitMs(200, 100)).toBeCloseTo(100_000, 5)
    rate.askedAgain(1_100)
    expect(rate.waitMs(200, 1_100)).toBeCloseTo(100_000, 5)
    // What it refuses when it has long been well is news again.
    rate.refused(20_000)
    expect(rate.waitMs(200, 20_000)).toBeLessThan(6_000)
  })

  test('is judged anew when it refuses again', () => {
    const rate = refusedAfter(200, 0)
    rate.passed(99, 9_000)
    rate.refused(12_000)
    rate.askedAgain(13_000)
    expect(rate.unitsPerMs(13_000)).toBeCloseTo(99 / 10_000, 10)
  })
})
