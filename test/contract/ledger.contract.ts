import { setTimeout } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Entry } from '../../src/ledger/entry.ts'
import type { Ledger, OnRevocations } from '../../src/ledger/ledger.ts'
import { startedEntry } from '../support/entries.ts'

/** Where a ledger under test keeps its entries: outlives every opening of it. */
export interface LedgerStore {
  /** @param waitingEntriesMax how many entries may wait. */
  open(waitingEntriesMax?: number, onRevocations?: OnRevocations): Promise<Ledger>
  /** Everything that is durable now, in order, read past the ledger; throws when the chain does not verify. */
  entries(): Awaitable<readonly Entry[]>
  /** From now on the store refuses every write, as a full disk does. */
  breakWrites(): Awaitable<void>
  mendWrites(): Awaitable<void>
  remove(): Awaitable<void>
}

/** A file is read and changed at once, a database is waited for. */
type Awaitable<T> = T | Promise<T>

/** What every ledger promises, whatever it is kept in. */
export function describeLedger(name: string, createStore: () => Awaitable<LedgerStore>): void {
  describe(name, () => {
    let store: LedgerStore
    let ledger: Ledger

    beforeEach(async () => {
      store = await createStore()
      ledger = await store.open()
    })
    afterEach(async () => {
      await ledger.close()
      await store.remove()
    })

    it('holds an entry, exactly, once its append is answered', async () => {
      await ledger.append([startedEntry('1')])
      expect(await store.entries()).toEqual([startedEntry('1')])
    })

    it('holds nothing before anything is appended', async () => {
      expect(await store.entries()).toEqual([])
    })

    it('keeps the entries of one append adjacent and in order among 200 concurrent ones', async () => {
      const appends = Array.from({ length: 200 }, (_, index) =>
        ['a', 'b', 'c'].map((part) => startedEntry(`${index}${part}`)),
      )
      await Promise.all(appends.map((entries) => ledger.append(entries)))
      expect(await store.entries()).toEqual(appends.flat())
    })

    it('goes on from its tip when it is opened again', async () => {
      await ledger.append([startedEntry('1')])
      await ledger.close()
      ledger = await store.open()
      await ledger.append([startedEntry('2')])
      expect(await store.entries()).toEqual([startedEntry('1'), startedEntry('2')])
    })

    it('refuses more than may wait, takes what already waits, and is healthy', async () => {
      await ledger.close()
      ledger = await store.open(2)
      const waiting = ledger.append([startedEntry('1'), startedEntry('2')])
      await expect(ledger.append([startedEntry('3')])).rejects.toMatchObject({
        code: 'LEDGER_OVERLOADED',
      })
      expect(ledger.healthy()).toBe(true)
      await waiting
      await ledger.append([startedEntry('4')])
      expect(await store.entries()).toEqual(['1', '2', '4'].map(startedEntry))
    })

    it('writes what was appended before it closes, and refuses what comes after', async () => {
      const before = ledger.append([startedEntry('1')])
      const closed = ledger.close()
      await expect(ledger.append([startedEntry('2')])).rejects.toMatchObject({
        code: 'LEDGER_CLOSED',
      })
      expect(ledger.healthy()).toBe(false)
      await Promise.all([before, closed, ledger.close()])
      expect(await store.entries()).toEqual([startedEntry('1')])
    })

    it('writes what was taken before it closes, although the last append was refused', async () => {
      const taken = ledger.append([startedEntry('1')])
      const refused = ledger.append([startedEntry('\ud800')])
      await Promise.all([taken, ledger.close(), expect(refused).rejects.toThrow(RangeError)])
      expect(await store.entries()).toEqual([startedEntry('1')])
    })

    it('refuses an entry without a canonical form, and only that one', async () => {
      await expect(ledger.append([startedEntry('\ud800')])).rejects.toThrow(RangeError)
      await ledger.append([startedEntry('1')])
      expect(await store.entries()).toEqual([startedEntry('1')])
    })

    it('rejects everyone who waited for a commit that failed, and refuses at once what comes after', async () => {
      await ledger.append([startedEntry('1')])
      await store.breakWrites()
      const waiting = ['2', '3', '4'].map((text) => ledger.append([startedEntry(text)]))
      const answers = await Promise.allSettled(waiting)
      expect(answers.map((answer) => answer.status)).toEqual(['rejected', 'rejected', 'rejected'])
      expect(ledger.healthy()).toBe(false)
      await expect(ledger.append([startedEntry('5')])).rejects.toMatchObject({
        code: 'LEDGER_UNAVAILABLE',
      })
      expect(await store.entries()).toEqual([startedEntry('1')])
    })

    it('goes on from its tip by itself when the store can be written again', async () => {
      await ledger.append([startedEntry('1')])
      await store.breakWrites()
      await expect(ledger.append([startedEntry('2')])).rejects.toThrow('LEDGER_UNAVAILABLE')
      await store.mendWrites()
      await healthyAgain(ledger)
      await Promise.all(['3', '4'].map((text) => ledger.append([startedEntry(text)])))
      expect(await store.entries()).toEqual(['1', '3', '4'].map(startedEntry))
    })

    it('does not come back once it is closed', async () => {
      await store.breakWrites()
      await expect(ledger.append([startedEntry('1')])).rejects.toThrow('LEDGER_UNAVAILABLE')
      await ledger.close()
      await store.mendWrites()
      await setTimeout(1500)
      expect(ledger.healthy()).toBe(false)
      await expect(ledger.append([startedEntry('2')])).rejects.toThrow('LEDGER_CLOSED')
    })
  })
}

/** A ledger tries for the first time within a second or so. */
export const healthyAgain = (ledger: Ledger) => expect.poll(() => ledger.healthy()).toBe(true)
