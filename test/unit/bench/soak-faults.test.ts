import { expect, test } from 'vitest'
import { faultAt, isExcusedAt, lostAnswersMax } from '../../../bench/soak-faults.ts'
import { faultSchema } from '../../../src/emulator/faults.ts'

const seconds = Array.from({ length: 600 }, (_, index) => index)

test('a fault is played once a minute, for ten seconds, and each kind has its turn', () => {
  const played = seconds.filter((second) => faultAt(second) !== undefined)
  expect(played).toHaveLength(100)
  expect(played[0]).toBe(30)
  const kinds = played.map((second) => faultSchema.parse(faultAt(second)).kind)
  expect(new Set(kinds).size).toBe(5)
})

test('what is played is an excuse meanwhile and for a while after, and at no other time', () => {
  expect([0, 29, 30, 69, 70, 89, 90].map(isExcusedAt)).toEqual([
    false,
    false,
    true,
    true,
    false,
    false,
    true,
  ])
  expect(seconds.filter((second) => faultAt(second) !== undefined).every(isExcusedAt)).toBe(true)
})

test('answers are lost or no good while the vault signs all the same, five at most each time', () => {
  const losing = seconds.filter((second) => {
    const fault = faultAt(second)
    return fault !== undefined && /-after$/.test(faultSchema.parse(fault).kind)
  })
  const [first = 0] = losing
  expect(lostAnswersMax(first - 31)).toBe(0)
  expect(lostAnswersMax(first + 1)).toBe(5)
  expect(lostAnswersMax(600)).toBe((losing.length / 10) * 5)
})
