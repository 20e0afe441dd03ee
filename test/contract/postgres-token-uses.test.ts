import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { systemClock } from '../../src/base/clock.ts'
import { createSqliteStore } from '../support/ledger-store.ts'
import { startPostgres, type TestPostgres } from '../support/postgres.ts'
import { createPostgresStore, moveTo, openLedgerAt } from '../support/postgres-store.ts'
import {
  describeTokenUses,
  spent,
  takeFrom,
  taken,
  tokensMax,
  useOf,
} from './token-uses.contract.ts'

let server: TestPostgres
beforeAll(async () => {
  server = await startPostgres()
})
afterAll(() => server.stop())

const createPlace = async () => {
  const store = await createPostgresStore(server)
  return {
    ...store,
    nowSeconds: () => systemClock.nowSeconds(),
    open: () => openLedgerAt(store.url, { tokensMax }),
  }
}

describeTokenUses('uses in a ledger in postgres', createPlace)

describe('uses of several ledgers', () => {
  test('are given once among all replicas, and known to the other one', async () => {
    const place = await createPlace()
    const replicas = await Promise.all([place.open(), place.open(), place.open()])
    onTestFinished(async () => {
      await Promise.all(replicas.map((one) => one.close()))
    })
    const ten = useOf(place, 'a', { usesMax: 10 })
    const answers = await Promise.all(
      Array.from({ length: 12 }, () => replicas.map((one) => takeFrom(one, ten))).flat(),
    )
    expect(answers.filter(({ ok }) => ok)).toHaveLength(10)
    expect(await place.entries()).toHaveLength(10)
    await Promise.all(replicas.map((one) => one.append([])))
    expect(replicas.map((one) => one.tokensRemembered())).toEqual([1, 1, 1])
  })

  test('move with the ledger of a file', async () => {
    const file = createSqliteStore()
    const place = await createPlace()
    const before = await file.open()
    const once = useOf(place, 'once', { usesMax: 1 })
    for (const use of [once, useOf(place, 'a')]) await takeFrom(before, use)
    await before.close()
    expect(await moveTo(place.url, file.file)).toMatchObject({ moved: true })
    const after = await place.open()
    onTestFinished(async () => {
      await after.close()
      file.remove()
    })
    expect(after.tokensRemembered()).toBe(2)
    expect(await takeFrom(after, once)).toEqual(spent)
    expect(await takeFrom(after, useOf(place, 'a', { purpose: 'deploy northwind' }))).toMatchObject(
      {
        why: 'elsewhere',
      },
    )
    expect(await takeFrom(after, useOf(place, 'a'))).toEqual(taken)
    expect(await takeFrom(after, useOf(place, 'a'))).toEqual(spent)
  })
})
