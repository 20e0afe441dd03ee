import { expect, test } from 'vitest'
import { createEmulatorClock } from '../../../../src/emulator/emulator-clock.ts'
import {
  createThrottle,
  type ThrottleCost,
  type ThrottleOptions,
} from '../../../../src/emulator/vault/throttle.ts'

/** Half-way through a window, so that none ends while the test runs. */
function frozenClock() {
  let nowMs = 1_800_000_005_000
  return {
    ...createEmulatorClock(),
    nowMs: () => nowMs,
    shift: (seconds: number) => {
      nowMs += seconds * 1000
    },
  }
}

const throttleWith = (options: Partial<ThrottleOptions> = {}) => {
  const clock = frozenClock()
  return { clock, throttle: createThrottle({ clock, scale: 1, refused: 'counted', ...options }) }
}

const hsm = (keySize: 2048 | 3072 | 4096): ThrottleCost => ({
  kind: 'key',
  keyType: 'RSA-HSM',
  keySize,
})
const software = (keySize: 2048 | 3072 | 4096): ThrottleCost => ({
  kind: 'key',
  keyType: 'RSA',
  keySize,
})

function admitted(throttle: ReturnType<typeof createThrottle>, cost: ThrottleCost): number {
  let count = 0
  while (count < 10_000 && throttle.admit(cost)) count += 1
  return count
}

test.each([
  [hsm(2048), 2000],
  [hsm(3072), 500],
  [hsm(4096), 250],
  [software(2048), 4000],
  [software(3072), 1000],
  [software(4096), 500],
  [{ kind: 'other' } as const, 4000],
])('admits %j as often as Azure documents, per window of ten seconds', (cost, limit) => {
  const { throttle, clock } = throttleWith()
  expect(admitted(throttle, cost)).toBe(limit)
  clock.shift(10)
  expect(admitted(throttle, cost)).toBe(limit)
})

test('enforces the weighted sum of all sizes, and each kind by itself', () => {
  const { throttle } = throttleWith()
  for (let i = 0; i < 125; i += 1) throttle.admit(hsm(4096))
  expect(admitted(throttle, hsm(2048))).toBe(1000)
  expect(throttle.admit(software(2048))).toBe(true)
  expect(throttle.admit({ kind: 'other' })).toBe(true)
})

test('scales every budget', () => {
  expect(admitted(throttleWith({ scale: 0.01 }).throttle, hsm(2048))).toBe(20)
  expect(admitted(throttleWith({ scale: 0 }).throttle, hsm(2048))).toBe(0)
})

test('lets refused requests spend budget, or not, as told', () => {
  const left = (refused: ThrottleOptions['refused']) => {
    const { throttle } = throttleWith({ refused, scale: 0.01 })
    for (let i = 0; i < 19; i += 1) throttle.admit(hsm(2048))
    expect(throttle.admit(hsm(4096))).toBe(false)
    return throttle.admit(hsm(2048))
  }
  expect([left('counted'), left('not-counted')]).toEqual([false, true])
})

test('can be scaled while it runs, and forgets nothing of what was spent', () => {
  const { throttle, clock } = throttleWith({ scale: 0.01 })
  expect(admitted(throttle, hsm(2048))).toBe(20)
  throttle.scaleTo(0.1)
  // One more was asked for and refused, and it counts.
  expect(admitted(throttle, hsm(2048))).toBe(200 - 21)
  clock.shift(10)
  throttle.scaleTo(0)
  expect(admitted(throttle, hsm(2048))).toBe(0)
})
