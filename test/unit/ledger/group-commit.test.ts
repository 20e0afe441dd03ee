import { setImmediate as nextTurn } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import {
  type CommitOutcome,
  GroupCommitLedger,
  type StoreEvents,
} from '../../../src/ledger/group-commit.ts'
import type { PendingAppend } from '../../../src/ledger/pending-append.ts'
import { noRevocations } from '../../../src/ledger/standing-revocations.ts'
import { healthyAgain } from '../../contract/ledger.contract.ts'
import { startedEntry } from '../../support/entries.ts'

const options = { waitingEntriesMax: 10, openTimeoutMs: 1000, onRevocations: () => undefined }
const wholly: CommitOutcome = {
  overtaken: new Set(),
  denied: new Map(),
  standing: undefined,
  tokensRemembered: 0,
}
const found = { standing: noRevocations, tokensRemembered: 0 }

/** What the contract cannot ask for of a real store: which moment it fails at. */

it('opens a store again that has failed by the time it is opened', async () => {
  const commits: string[][] = []
  let openings = 0
  const openStore = async (events: StoreEvents) => {
    openings += 1
    await nextTurn()
    if (openings === 2) events.failed(new Error('gone in the moment it was opened'))
    return {
      ...found,
      commit: (appends: readonly PendingAppend[]) => {
        commits.push(appends.flatMap(({ canonicalEntries }) => canonicalEntries))
        if (openings === 1) events.failed(new Error('gone'))
        else events.committed(wholly)
      },
      end: () => Promise.resolve(),
    }
  }
  const ledger = new GroupCommitLedger({ openStore, ...options })
  await ledger.open()
  await expect(ledger.append([startedEntry('1')])).rejects.toThrow('LEDGER_UNAVAILABLE')

  await healthyAgain(ledger)
  await ledger.append([startedEntry('2')])
  expect([openings, commits.length]).toEqual([3, 2])
  await ledger.close()
})

it('gives the store its first work before a long turn ends, and all that comes meanwhile as one commit', async () => {
  const sizes: number[] = []
  let finish: () => void = () => undefined
  const ledger = new GroupCommitLedger({
    ...options,
    openStore: (events) =>
      Promise.resolve({
        ...found,
        commit: (appends) => {
          sizes.push(appends.length)
          finish = () => {
            events.committed(wholly)
          }
        },
        end: () => Promise.resolve(),
      }),
    waitingEntriesMax: 100,
  })
  await ledger.open()
  /** One after the other, in one turn. */
  const appendSome = async (count: number) => {
    const appends: Promise<void>[] = []
    while (appends.length < count) {
      appends.push(ledger.append([startedEntry(`${appends.length}`)]))
      await Promise.resolve()
    }
    return appends
  }

  const few = await appendSome(31)
  expect(sizes).toEqual([])
  await nextTurn()
  expect(sizes).toEqual([31])
  finish()
  await Promise.all(few)

  const many = await appendSome(80)
  expect(sizes).toEqual([31, 32])
  await nextTurn()
  expect(sizes).toEqual([31, 32])
  finish()
  expect(sizes).toEqual([31, 32, 48])
  finish()
  await Promise.all(many)

  const together = Array.from({ length: 40 }, () => ledger.append([startedEntry('together')]))
  await Promise.resolve()
  expect(sizes).toEqual([31, 32, 48, 40])
  finish()
  await Promise.all(together)
  await ledger.close()
})

it('tells of every commit how long it took, also of one that failed, and of none that stored nothing', async () => {
  const told: number[] = []
  let commits = 0
  const ledger = new GroupCommitLedger({
    openStore: (events) =>
      Promise.resolve({
        ...found,
        commit: (appends) => {
          commits += 1
          if (commits === 1)
            setTimeout(() => {
              events.committed(wholly)
            }, 20)
          else if (commits === 2) events.committed({ ...wholly, overtaken: new Set(appends) })
          else events.failed(new Error('gone'))
        },
        end: () => Promise.resolve(),
      }),
    ...options,
    onCommit: (seconds) => told.push(seconds),
  })
  await ledger.open()
  await ledger.append([startedEntry('1')])
  await expect(ledger.append([startedEntry('2')])).rejects.toThrow('LEDGER_OVERTAKEN')
  expect(told).toEqual([expect.toSatisfy((seconds: number) => seconds > 0.015 && seconds < 10)])
  await expect(ledger.append([startedEntry('3')])).rejects.toThrow('LEDGER_UNAVAILABLE')
  expect(told).toHaveLength(2)
  await ledger.close()
})

const first = () => Promise.resolve([startedEntry('1')])

describe('a ledger that is not open', () => {
  type Opening = 'away' | 'lost-at-once' | 'lost-in-commit' | 'well'

  /** Each opening goes as the next of these says. */
  function ledgerThatOpens(...openings: Opening[]) {
    const committed: string[] = []
    const ledger = new GroupCommitLedger({
      openStore: async (events) => {
        const opening = openings.shift() ?? 'well'
        await nextTurn()
        if (opening === 'away') throw new Error('away')
        if (opening === 'lost-at-once') events.failed(new Error('lost at once'))
        return {
          ...found,
          commit: (appends) => {
            if (opening === 'lost-in-commit') events.failed(new Error('lost in commit'))
            else {
              committed.push(...appends.flatMap(({ canonicalEntries }) => canonicalEntries))
              events.committed(wholly)
            }
          },
          end: () => Promise.resolve(),
        }
      },
      ...options,
    })
    return { ledger, committed, left: openings }
  }

  it('takes nothing, and says so', async () => {
    const { ledger } = ledgerThatOpens()
    expect(ledger.healthy()).toBe(false)
    await expect(ledger.append([startedEntry('1')])).rejects.toThrow('LEDGER_UNAVAILABLE')
  })

  it('is opened again only when it is told to, however its opening failed', async () => {
    const { ledger, committed } = ledgerThatOpens('away', 'lost-at-once', 'lost-in-commit', 'well')
    for (const reason of ['away', 'lost at once', 'lost in commit']) {
      await expect(ledger.open(first)).rejects.toThrow(reason)
      expect(ledger.healthy()).toBe(false)
    }
    expect(committed).toEqual([])
    await ledger.open(first)
    expect(ledger.healthy()).toBe(true)
    expect(committed).toHaveLength(1)
    await ledger.close()
  })

  it('finds out what comes first when its store is open, and leaves none open where that fails', async () => {
    const told: string[] = []
    const ledger = new GroupCommitLedger({
      openStore: async (events) => {
        await nextTurn()
        told.push('open')
        return {
          ...found,
          commit: () => {
            told.push('committed')
            events.committed(wholly)
          },
          end: () => {
            told.push('ended')
            return Promise.resolve()
          },
        }
      },
      ...options,
    })
    const failing = () => Promise.reject(new Error('nobody knows'))
    await expect(ledger.open(failing)).rejects.toThrow('nobody knows')
    expect(ledger.healthy()).toBe(false)
    await ledger.open(async () => {
      await expect(ledger.append([startedEntry('2')])).rejects.toThrow('LEDGER_UNAVAILABLE')
      told.push('asked')
      return first()
    })
    expect(told).toEqual(['open', 'ended', 'open', 'asked', 'committed'])
    await ledger.close()
  })

  it('does not open when its store is lost while it finds out what comes first', async () => {
    let lose: StoreEvents['failed'] | undefined
    const ledger = new GroupCommitLedger({
      openStore: (events) => {
        lose = events.failed.bind(events)
        return Promise.resolve({
          ...found,
          commit: () => undefined,
          end: () => Promise.resolve(),
        })
      },
      ...options,
    })
    const losing = () => {
      lose?.(new Error('lost meanwhile'))
      return first()
    }
    await expect(ledger.open(losing)).rejects.toThrow('lost meanwhile')
    expect(ledger.healthy()).toBe(false)
    await ledger.close()
  })

  it('takes no other entry before its first ones are durable', async () => {
    const { ledger, committed } = ledgerThatOpens()
    const opening = ledger.open(first)
    const isTaken = () =>
      ledger.append([startedEntry('2')]).then(
        () => true,
        () => false,
      )
    let tries = 1
    for (; !(await isTaken()); tries += 1) await nextTurn()
    await opening
    expect(tries).toBeGreaterThan(1)
    expect(committed.map((text) => (JSON.parse(text) as { version: string }).version)).toEqual([
      '1',
      '2',
    ])
    await ledger.close()
  })

  it('leaves nothing open when it is closed meanwhile', async () => {
    let ends = 0
    const ledger = new GroupCommitLedger({
      openStore: async () => {
        await nextTurn()
        return {
          ...found,
          commit: () => undefined,
          end: () => {
            ends += 1
            return Promise.resolve()
          },
        }
      },
      ...options,
    })
    const opening = expect(ledger.open(first)).rejects.toThrow('LEDGER_CLOSED')
    await ledger.close()
    await opening
    expect([ends, ledger.healthy()]).toEqual([1, false])
  })
})

describe('a store that is lost', () => {
  beforeEach(() => {
    // Every clock that the ledger reads, so that both tell the same time.
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  /** Leaves every commit unanswered until it is lost. */
  async function openLosable() {
    let latest: StoreEvents | undefined
    const ledger = new GroupCommitLedger({
      openStore: (events) => {
        latest = events
        return Promise.resolve({
          ...found,
          commit: () => undefined,
          end: () => Promise.resolve(),
        })
      },
      ...options,
    })
    await ledger.open()
    const lose = () => latest?.failed(new Error('the connection is lost'))
    return {
      lose,
      loseIdle: () => {
        lose()
        expect(ledger.healthy()).toBe(false)
      },
      loseCommit: async () => {
        const append = expect(ledger.append([startedEntry('1')])).rejects.toThrow(
          'LEDGER_UNAVAILABLE',
        )
        await nextTurn()
        lose()
        await append
      },
      /** Whole seconds until appends are taken again. */
      secondsUntilHealthy: async () => {
        let seconds = 0
        await vi.advanceTimersByTimeAsync(0)
        for (; !ledger.healthy() && seconds < 100; seconds += 1) {
          await vi.advanceTimersByTimeAsync(1000)
        }
        return seconds
      },
      close: () => ledger.close(),
    }
  }

  const stayOpen = (seconds: number) => vi.advanceTimersByTimeAsync(seconds * 1000)

  it('between commits is opened again at once, however often', async () => {
    const store = await openLosable()
    for (let loss = 0; loss < 8; loss += 1) {
      await stayOpen(10)
      store.loseIdle()
      expect(await store.secondsUntilHealthy()).toBe(0)
    }
    await store.close()
  })

  it('between commits as soon as it is open is opened again once a second', async () => {
    const store = await openLosable()
    for (let loss = 0; loss < 8; loss += 1) {
      store.loseIdle()
      expect(await store.secondsUntilHealthy()).toBe(1)
    }
    await store.close()
  })

  it('in a commit is left alone for longer each time, until it stays open for a minute', async () => {
    const store = await openLosable()
    const pauses: number[] = []
    for (const openSeconds of [0, 10, 59, 60, 10]) {
      await stayOpen(openSeconds)
      await store.loseCommit()
      pauses.push(await store.secondsUntilHealthy())
    }
    expect(pauses).toEqual([1, 2, 3, 1, 2])
    await store.close()
  })

  it('between commits does not make the failures before it forgotten', async () => {
    const store = await openLosable()
    await store.loseCommit()
    expect(await store.secondsUntilHealthy()).toBe(1)
    await stayOpen(10)
    store.loseIdle()
    expect(await store.secondsUntilHealthy()).toBe(0)
    await store.loseCommit()
    expect(await store.secondsUntilHealthy()).toBe(2)
    await store.close()
  })
})
