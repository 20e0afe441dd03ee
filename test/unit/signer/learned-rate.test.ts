import { describe, expect, test } from 'vitest'
import { LearnedRate } from '../../../src/signer/learned-rate.ts'
import { fc } from '../../support/drawn-cases.ts'

/** In ten seconds. */
const unitsMax = 1600
const most = unitsMax / 10_000

/** A vault that let so many pass and then refused one more, and has signed again since. */
function refusedAfter(passed: number, signsAgainAtMs = 1_000): LearnedRate {
  const rate = new LearnedRate(unitsMax)
  if (passed > 0) rate.passed(passed, 0)
  rate.refused(0)
  rate.passed(1, signsAgainAtMs)
  return rate
}

describe('a vault that has refused nothing', () => {
  test('is asked however fast', () => {
    const rate = new LearnedRate(unitsMax)
    rate.passed(unitsMax, 0)
    expect(rate.unitsPerMs(1)).toBe(Infinity)
  })
})

describe('a vault that has refused something', () => {
  test('is asked for a tenth less than it let pass in ten seconds', () => {
    expect(refusedAfter(200).unitsPerMs(1_000)).toBeCloseTo(0.9 * (200 / 10_000), 10)
  })

  test('is judged by those ten seconds alone', () => {
    const rate = new LearnedRate(unitsMax)
    rate.passed(1000, 0)
    rate.passed(300, 10_000)
    rate.refused(10_001)
    rate.passed(1, 10_002)
    expect(rate.unitsPerMs(10_002)).toBeCloseTo(0.9 * (300 / 10_000), 10)
  })

  test('sets no pace before it signs again: those who find out are let through by the circuit', () => {
    const rate = new LearnedRate(unitsMax)
    rate.passed(200, 0)
    rate.refused(0)
    expect(rate.unitsPerMs(5_000)).toBe(Infinity)
    rate.passed(1, 5_000)
    expect(rate.unitsPerMs(5_000)).toBeLessThan(most)
  })

  test('is asked for more and more from then on, until all may be asked', () => {
    fc.assert(
      fc.property(fc.nat(unitsMax), fc.nat(20_000), fc.nat(20_000), (passed, one, other) => {
        const rate = refusedAfter(passed, 0)
        const [before, after] = [Math.min(one, other), Math.max(one, other)]
        expect(rate.unitsPerMs(after)).toBeGreaterThanOrEqual(rate.unitsPerMs(before))
        // It is back where it was refused within half of the time that everything takes.
        expect(rate.unitsPerMs(15_000)).toBe(Infinity)
        expect(rate.unitsPerMs(before)).toBeGreaterThan(0)
      }),
    )
  })

  test('is asked as RFC 9438 says: W_cubic(t) = C (t − K)³ + W_max', () => {
    const [plateau, seconds] = [0.02, 1000]
    // C, so that it takes ten seconds from nothing to all.
    const c = most / (10 * seconds) ** 3
    const k = Math.cbrt((plateau * 0.1) / c)
    const rate = refusedAfter(plateau * 10_000, 0)
    for (const t of [0, 1_000, k, 4_000, 8_000]) {
      expect(rate.unitsPerMs(t)).toBeCloseTo(c * (t - k) ** 3 + plateau, 10)
    }
  })

  test('is not left alone because nothing passed', () => {
    expect(refusedAfter(0).unitsPerMs(1_000)).toBeCloseTo(most / 20, 10)
  })

  test('is judged anew when it refuses again', () => {
    const rate = refusedAfter(200, 0)
    rate.passed(99, 9_000)
    rate.refused(12_000)
    rate.passed(1, 13_000)
    expect(rate.unitsPerMs(13_000)).toBeCloseTo(0.9 * (99 / 10_000), 10)
  })
})
