import { expect, onTestFinished, test } from 'vitest'
import { createSqliteLedger } from '../../src/ledger/sqlite-ledger.ts'
import { fixedClock } from '../support/fixed-clock.ts'
import { createSqliteStore } from '../support/ledger-store.ts'
import {
  describeClockedUses,
  describeTokenUses,
  spent,
  takeFrom,
  tokensMax,
  useOf,
} from './token-uses.contract.ts'

const createPlace = () => {
  const clock = fixedClock(1_790_000_000)
  const store = createSqliteStore()
  return {
    ...store,
    clock,
    nowSeconds: () => clock.nowSeconds(),
    open: () => createSqliteLedger({ file: store.file, clock, tokensMax }),
    pass: (seconds: number) => {
      clock.advance(seconds)
    },
  }
}

describeTokenUses('uses in a ledger in sqlite', createPlace)
describeClockedUses('uses in a ledger in sqlite', createPlace)

test('uses in a ledger in sqlite are remembered although a wall clock that was set has them expired', async () => {
  const place = createPlace()
  const ledger = await place.open()
  onTestFinished(async () => {
    await ledger.close()
    place.remove()
  })
  const once = useOf(place, 'a', { usesMax: 1 })
  await takeFrom(ledger, once)
  place.clock.jump(86_400)
  await takeFrom(ledger, useOf(place, 'b'))
  place.clock.jump(-86_400)
  expect(await takeFrom(ledger, once)).toEqual(spent)
})
