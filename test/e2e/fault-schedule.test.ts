import { describe, expect, test } from 'vitest'
import { createSeededRandom } from '../../src/emulator/random.ts'
import { allPairs, orderFor, pairsIn, pairwiseRounds } from '../support/torture/fault-schedule.ts'

describe('the schedule of faults', () => {
  test.each([1, 2, 3])('brings every two together, with seed %i', (seed) => {
    const rounds = pairwiseRounds(createSeededRandom(seed))
    expect(new Set(rounds.flatMap(({ onTheWay }) => pairsIn(onTheWay)))).toEqual(allPairs)
    expect(rounds.every(({ onTheWay }) => onTheWay.length === 4)).toBe(true)
    expect(rounds.length).toBeLessThan(90)
  })

  test('is the same again with the same seed', () => {
    const ordersWith = (seed: number) => {
      const random = createSeededRandom(seed)
      return pairwiseRounds(random).flatMap(({ onTheWay }) =>
        onTheWay.map((fault) => orderFor(fault, random)),
      )
    }
    expect(ordersWith(7)).toEqual(ordersWith(7))
    expect(ordersWith(7)).not.toEqual(ordersWith(8))
  })
})
