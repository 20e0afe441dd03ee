import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { ExportCursor } from '../../src/custody/export-cursor.ts'
import { genesis } from '../../src/ledger/chain.ts'
import { required } from '../support/required.ts'

/** Where the cursors of a test are: outlive every opening. */
export interface CursorPlace {
  open(destination: string): Promise<ExportCursor>
  remove(): Promise<void>
}

const linkAt = (sequence: number) => ({ sequence, hash: Buffer.alloc(32, sequence) })

/** What every cursor promises, whatever it is kept in. */
export function describeExportCursor(
  name: string,
  createPlace: () => CursorPlace | Promise<CursorPlace>,
): void {
  describe(name, () => {
    let place: CursorPlace
    beforeEach(async () => {
      place = await createPlace()
    })
    afterEach(() => place.remove())

    test('stands before the first entry of a destination that was told nothing', async () => {
      const link = required(await (await place.open('a')).take())
      expect(link.sequence).toBe(0)
      expect(Buffer.compare(link.hash, genesis.hash)).toBe(0)
    })

    test('is where it was moved to, also for who opens it again', async () => {
      const cursor = await place.open('a')
      await cursor.take()
      expect(await cursor.advance(linkAt(3))).toBe(true)
      expect(await cursor.advance(linkAt(7))).toBe(true)
      expect(await cursor.take()).toEqual(linkAt(7))
      await cursor.release()
      expect(await (await place.open('a')).take()).toEqual(linkAt(7))
    })

    test('is given back by who has the turn, and moved on after it was', async () => {
      const cursor = await place.open('a')
      await cursor.release()
      await cursor.take()
      await cursor.release()
      expect(await cursor.take()).toBeDefined()
      expect(await cursor.advance(linkAt(1))).toBe(true)
    })

    test('says nothing of another destination', async () => {
      const cursor = await place.open('a')
      await cursor.take()
      await cursor.advance(linkAt(3))
      expect((await (await place.open('b')).take())?.sequence).toBe(0)
    })
  })
}
