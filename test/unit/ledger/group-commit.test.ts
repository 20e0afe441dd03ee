import { setImmediate as nextTurn } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { GroupCommitLedger, type StoreEvents } from '../../../src/ledger/group-commit.ts'
import { healthyAgain } from '../../contract/ledger.contract.ts'
import { startedEntry } from '../../support/entries.ts'

/** What the contract cannot ask for of a real store: which moment it fails at. */

it('opens a store again that has failed by the time it is opened', async () => {
  const commits: string[][] = []
  let openings = 0
  const openStore = async (events: StoreEvents) => {
    openings += 1
    await nextTurn()
    if (openings === 2) events.failed(new Error('gone in the moment it was opened'))
    return {
      commit: (canonicalEntries: readonly string[]) => {
        commits.push([...canonicalEntries])
        if (openings === 1) events.failed(new Error('gone'))
        else events.committed()
      },
      end: () => Promise.resolve(),
    }
  }
  const ledger = new GroupCommitLedger({ openStore, waitingEntriesMax: 10, openTimeoutMs: 1000 })
  await ledger.open()
  await expect(ledger.append([startedEntry('1')])).rejects.toThrow('LEDGER_UNAVAILABLE')

  await healthyAgain(ledger)
  await ledger.append([startedEntry('2')])
  expect([openings, commits.length]).toEqual([3, 2])
  await ledger.close()
})
