import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Ledger } from '../../src/ledger/ledger.ts'
import type { StandingRevocations } from '../../src/ledger/standing-revocations.ts'
import { liftedEntry, revokedEntry, startedEntry } from '../support/entries.ts'
import { healthyAgain, type LedgerStore } from './ledger.contract.ts'

/** What every ledger promises of the revocations that stand beside its chain. */
export function describeRevocations(
  name: string,
  createStore: () => LedgerStore | Promise<LedgerStore>,
): void {
  describe(name, () => {
    let store: LedgerStore
    let ledger: Ledger
    let told: StandingRevocations[]

    const open = async () => {
      told = []
      ledger = await store.open(undefined, (standing) => void told.push(standing))
    }
    beforeEach(async () => {
      store = await createStore()
      await open()
    })
    afterEach(async () => {
      await ledger.close()
      await store.remove()
    })

    const overtaken = { code: 'LEDGER_OVERTAKEN' }

    it('tells when it is opened that nothing stands, and then nothing until something does', async () => {
      await ledger.append([startedEntry('1')])
      expect(told).toEqual([{ epoch: 0, made: [] }])
    })

    it('tells what stands before whoever made it is answered', async () => {
      const made = revokedEntry('1', 1)
      await ledger.append([made], { decidedUnder: 0 })
      expect(told.at(-1)).toEqual({ epoch: 1, made: [made] })
      expect(await store.entries()).toEqual([made])
    })

    it('stores nothing of what was decided under the epoch before, and goes on', async () => {
      const made = revokedEntry('1', 1)
      await ledger.append([made], { decidedUnder: 0 })
      const appends = [
        ledger.append([startedEntry('before'), startedEntry('with it')], { decidedUnder: 0 }),
        ledger.append([startedEntry('after')], { decidedUnder: 1 }),
        ledger.append([startedEntry('whatever')]),
      ]
      const answers = await Promise.allSettled(appends)
      expect(answers.map(({ status }) => status)).toEqual(['rejected', 'fulfilled', 'fulfilled'])
      await expect(appends[0]).rejects.toMatchObject(overtaken)
      expect(ledger.healthy()).toBe(true)
      expect(await store.entries()).toEqual([made, startedEntry('after'), startedEntry('whatever')])
    })

    it('stores nothing decided before it behind a revocation of the same commit', async () => {
      const made = revokedEntry('1', 1)
      const [before, , after, settled] = await Promise.allSettled([
        ledger.append([startedEntry('before it')], { decidedUnder: 0 }),
        ledger.append([made], { decidedUnder: 0 }),
        ledger.append([startedEntry('behind it')], { decidedUnder: 0 }),
        ledger.append([startedEntry('has happened')]),
      ])
      expect([before.status, after.status, settled.status]).toEqual([
        'fulfilled',
        'rejected',
        'fulfilled',
      ])
      const texts = [startedEntry('before it'), made, startedEntry('has happened')]
      expect(await store.entries()).toEqual(texts)
    })

    it('makes one of two that were decided under the same epoch', async () => {
      const answers = await Promise.allSettled([
        ledger.append([revokedEntry('1', 1)], { decidedUnder: 0 }),
        ledger.append([revokedEntry('2', 1)], { decidedUnder: 0 }),
      ])
      expect(answers.map(({ status }) => status)).toEqual(['fulfilled', 'rejected'])
      expect(told.at(-1)).toEqual({ epoch: 1, made: [revokedEntry('1', 1)] })
    })

    it('lets one stand until it is lifted, which is an epoch too', async () => {
      const [first, second] = [revokedEntry('1', 1), revokedEntry('2', 2)]
      await ledger.append([first], { decidedUnder: 0 })
      await ledger.append([second], { decidedUnder: 1 })
      await ledger.append([liftedEntry('1', 3)], { decidedUnder: 2 })
      expect(told.at(-1)).toEqual({ epoch: 3, made: [second] })
      await expect(
        ledger.append([startedEntry('late')], { decidedUnder: 2 }),
      ).rejects.toMatchObject(overtaken)
    })

    it('tells them again when it is opened again', async () => {
      const [first, second] = [revokedEntry('1', 1), revokedEntry('2', 2)]
      await ledger.append([first], { decidedUnder: 0 })
      await ledger.append([second], { decidedUnder: 1 })
      await ledger.append([liftedEntry('1', 3)], { decidedUnder: 2 })
      await ledger.close()
      await open()
      expect(told).toEqual([{ epoch: 3, made: [second] }])
      await expect(
        ledger.append([startedEntry('late')], { decidedUnder: 2 }),
      ).rejects.toMatchObject(overtaken)
      await ledger.append([startedEntry('in time')], { decidedUnder: 3 })
    })

    it('takes no entries at all, and then writes nothing', async () => {
      await ledger.append([])
      await expect(ledger.append([], { decidedUnder: 7 })).rejects.toMatchObject(overtaken)
      expect(await store.entries()).toEqual([])
      expect(ledger.healthy()).toBe(true)
    })

    it('takes one although no more entries may wait, and tells what stands', async () => {
      await ledger.close()
      told = []
      ledger = await store.open(1, (standing) => void told.push(standing))
      const waiting = ledger.append([startedEntry('1')])
      await expect(ledger.append([startedEntry('2')])).rejects.toThrow('LEDGER_OVERLOADED')
      const made = revokedEntry('1', 1)
      await Promise.all([waiting, ledger.append([made], { decidedUnder: 0 }), ledger.append([])])
      expect(told.at(-1)).toEqual({ epoch: 1, made: [made] })
      expect(await store.entries()).toEqual([startedEntry('1'), made])
    })

    it('does not let one stand whose commit has failed', async () => {
      await store.breakWrites()
      await expect(ledger.append([revokedEntry('1', 1)], { decidedUnder: 0 })).rejects.toThrow(
        'LEDGER_UNAVAILABLE',
      )
      await store.mendWrites()
      await healthyAgain(ledger)
      expect(told.map(({ epoch }) => epoch)).toEqual([0, 0])
      await ledger.append([startedEntry('1')], { decidedUnder: 0 })
      expect(await store.entries()).toEqual([startedEntry('1')])
    })
  })
}
