import { expect, test } from 'vitest'
import { outlookFrom, unknownOutlook } from '../../../src/signer/units-outlook.ts'

const said = {
  free: 2,
  returns: [
    { inMs: 1000, units: 3 },
    { inMs: 4000, units: 5 },
  ],
  others: [],
}
const outlook = outlookFrom(said, 500, 10, { windowMs: 10_000 })

test('what is free is there at once, and the rest when others have had it', () => {
  expect([2, 3, 5, 6, 10].map((units) => outlook.freeInMs(units))).toEqual([
    0, 1000, 1000, 4000, 4000,
  ])
})

test('time that has passed since is not waited for again', () => {
  expect([500, 1000, 1600].map((nowMs) => outlook.waitMs(3, nowMs))).toEqual([1000, 500, 0])
})

test('what is more than the budget takes whole windows', () => {
  expect([10, 12, 15, 22].map((units) => outlook.waitMs(units, 500))).toEqual([
    4000, 10_000, 11_000, 20_000,
  ])
})

test('others who wait have their turns meanwhile: as much as oneself, or all that they want', () => {
  const crowded = outlookFrom({ ...said, others: [1, 100] }, 0, 10, { windowMs: 10_000 })
  // One's own two, one, and two.
  expect(crowded.waitMs(2, 0)).toBe(1000)
  // Three, one, and three.
  expect(crowded.waitMs(3, 0)).toBe(4000)
})

test('nothing is known before anybody has said something', () => {
  expect([unknownOutlook.freeInMs(5), unknownOutlook.waitMs(5, 0)]).toEqual([0, 0])
})
