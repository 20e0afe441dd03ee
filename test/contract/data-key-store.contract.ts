import { randomBytes } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { generationMax, type WrappedDataKey } from '../../src/sealing/data-key.ts'
import type { DataKeyStore } from '../../src/sealing/data-key-store.ts'

/** Where the store of a test keeps its rows: outlives every opening of it, and is shared by all. */
export interface DataKeyRows {
  /** As one more replica opens it. */
  open(): Promise<DataKeyStore>
  remove(): Promise<void>
}

const madeAtSeconds = 1_790_000_000

const rowOf = (generation: number, createdAtSeconds = madeAtSeconds): WrappedDataKey => ({
  generation,
  keyId: 'https://contoso-hsm.vault.azure.net/keys/token-wrapping/0123456789abcdef0123456789abcdef',
  // The bytes that something in between may take for text or an end.
  wrapped: Buffer.concat([Buffer.from([0x00, 0xff, 0x27, 0x5c, 0x0a]), randomBytes(251)]),
  createdAtSeconds,
})

/** As it was added, whatever kind of bytes the store gives back. */
const plain = (row: WrappedDataKey | undefined) =>
  row && { ...row, wrapped: Buffer.from(row.wrapped).toString('hex') }

/** What every store of data keys promises, whatever it keeps them in. */
export function describeDataKeyStore(
  name: string,
  createRows: () => DataKeyRows | Promise<DataKeyRows>,
): void {
  describe(name, () => {
    let rows: DataKeyRows
    let store: DataKeyStore
    let other: DataKeyStore

    beforeEach(async () => {
      rows = await createRows()
      store = await rows.open()
      other = await rows.open()
    })
    afterEach(() => rows.remove())

    test('has no newest before anything is added, nor any other', async () => {
      expect(await store.latest()).toBeUndefined()
      expect(await store.find(1)).toBeUndefined()
    })

    test('gives back what was added, exactly, to every replica', async () => {
      const row = rowOf(1)
      expect(plain(await store.addNewest(row, 0))).toEqual(plain(row))
      for (const one of [store, other, await rows.open()]) {
        expect(plain(await one.latest())).toEqual(plain(row))
        expect(plain(await one.find(1))).toEqual(plain(row))
        expect(await one.find(2)).toBeUndefined()
      }
    })

    test('keeps older generations beside the newest, whose numbers may have gaps', async () => {
      const [first, second, third] = [rowOf(1), rowOf(2), rowOf(generationMax)]
      for (const row of [first, second, third]) await store.addNewest(row, 0)
      expect(plain(await other.latest())).toEqual(plain(third))
      expect(plain(await other.find(1))).toEqual(plain(first))
      expect(plain(await other.find(2))).toEqual(plain(second))
      expect(await other.find(3)).toBeUndefined()
    })

    test.each([4, 3])(
      'does not add generation %i when 4 is there, and says which is the newest',
      async (generation) => {
        const there = rowOf(4)
        await other.addNewest(there, 0)
        const late = rowOf(generation)
        expect(plain(await store.addNewest(late, 0))).toEqual(plain(there))
        expect(plain(await store.latest())).toEqual(plain(there))
        const found = generation === 4 ? plain(there) : undefined
        expect(plain(await store.find(generation))).toEqual(found)
      },
    )

    test('adds one of many that are added at once, and tells all of them which', async () => {
      const stores = [store, other, await rows.open()]
      const attempts = Array.from({ length: 30 }, (_, i) => ({
        row: rowOf(7),
        through: stores[i % stores.length] ?? store,
      }))
      const told = await Promise.all(attempts.map(({ row, through }) => through.addNewest(row, 0)))
      const newest = plain(await store.latest())
      expect(new Set(told.map((row) => plain(row)?.wrapped)).size).toBe(1)
      expect(plain(told[0])).toEqual(newest)
      expect(attempts.map(({ row }) => plain(row))).toContainEqual(newest)
    })

    test('removes what was made before the moment, and not what was made then', async () => {
      await store.addNewest(rowOf(1, madeAtSeconds - 1), 0)
      await store.addNewest(rowOf(2, madeAtSeconds), 0)
      await store.addNewest(rowOf(3, madeAtSeconds + 1), madeAtSeconds)
      expect(await other.find(1)).toBeUndefined()
      expect(await other.find(2)).toBeDefined()
      expect(await other.find(3)).toBeDefined()
    })

    test('does not remove what it adds, however long ago that was made', async () => {
      const row = rowOf(2, madeAtSeconds - 100)
      await store.addNewest(rowOf(1, madeAtSeconds - 200), 0)
      expect(plain(await store.addNewest(row, madeAtSeconds))).toEqual(plain(row))
      expect(plain(await other.latest())).toEqual(plain(row))
      expect(await other.find(1)).toBeUndefined()
    })

    test('removes nothing when it adds nothing', async () => {
      await store.addNewest(rowOf(1, madeAtSeconds), 0)
      await store.addNewest(rowOf(2, madeAtSeconds), 0)
      await store.addNewest(rowOf(2, madeAtSeconds), madeAtSeconds + 1)
      expect(await other.find(1)).toBeDefined()
      expect(await other.find(2)).toBeDefined()
    })
  })
}
