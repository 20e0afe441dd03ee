import { expect, test } from 'vitest'
import { Pace } from '../../../src/signer/pace.ts'

test('a pace is what went in this half second or the one before, and is forgotten then', () => {
  const pace = new Pace()
  expect(pace.lately(0)).toBe(0)
  pace.add(3, 0)
  pace.add(4, 400)
  expect(pace.lately(499)).toBe(7)
  pace.add(1, 500)
  expect(pace.lately(999)).toBe(7)
  expect(pace.lately(1000)).toBe(1)
  expect(pace.lately(5000)).toBe(0)
})

test('what did not go after all is no pace', () => {
  const pace = new Pace()
  pace.add(3, 0)
  pace.giveBack(2)
  expect(pace.lately(0)).toBe(1)
  pace.giveBack(2)
  expect(pace.lately(0)).toBe(0)
})
