import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createTurnedAway, type TurnedAway } from '../../../src/issuance/turned-away.ts'
import type { Ledger } from '../../../src/ledger/ledger.ts'
import { issuerName } from '../../support/caller-issuer.ts'
import { startedEntry } from '../../support/entries.ts'
import { fixedClock, type FixedClock } from '../../support/fixed-clock.ts'
import { createSqliteStore } from '../../support/ledger-store.ts'

/** 2026-11-22T10:00:30Z: in the middle of a minute. */
const startSeconds = 1_795_341_630
const minuteStartMs = (startSeconds - 30) * 1000

const github = issuerName('github')
const gitlab = issuerName('gitlab')

/** What the ledger takes at a time. */
const waitingMax = 4

let store: ReturnType<typeof createSqliteStore>
let ledger: Ledger
let clock: FixedClock
let turnedAway: TurnedAway

beforeEach(async () => {
  store = createSqliteStore()
  ledger = await store.open(waitingMax)
  clock = fixedClock(startSeconds)
  turnedAway = createTurnedAway({ ledger, clock })
})
afterEach(async () => {
  await ledger.close()
  store.remove()
})

const written = () => store.entries().filter((entry) => entry.kind === 'service.turned-away')

function count(times: number, reason = 'caller_token_missing', issuer = github): void {
  for (let time = 0; time < times; time += 1) turnedAway.count(reason, issuer)
}

/** More than may wait is being committed, so that the ledger takes nothing now, and will later. */
async function whileLedgerIsFull(act: () => Promise<void>): Promise<void> {
  const committing = ledger.append(Array(waitingMax).fill(startedEntry('0.1.0')))
  await act()
  await committing
}

describe('strangers of a minute', () => {
  test('are one entry per reason and issuer, once the minute has ended', async () => {
    count(3)
    count(2, 'caller_not_named')
    count(1, 'caller_not_named', gitlab)
    turnedAway.count('caller_issuer_unknown', undefined)
    clock.advance(30)
    await turnedAway.roll('ended-minutes')

    const common = { kind: 'service.turned-away', atMs: clock.nowMs(), minuteStartMs }
    expect(written()).toEqual([
      { ...common, reason: 'caller_token_missing', issuer: 'github', count: 3 },
      { ...common, reason: 'caller_not_named', issuer: 'github', count: 2 },
      { ...common, reason: 'caller_not_named', issuer: 'gitlab', count: 1 },
      { ...common, reason: 'caller_issuer_unknown', count: 1 },
    ])
  })

  test('are not written before it has ended, unless all are asked for', async () => {
    count(3)
    clock.advance(29)
    await turnedAway.roll('ended-minutes')
    expect(written()).toEqual([])

    await turnedAway.roll('every')
    expect(written()).toMatchObject([{ count: 3, minuteStartMs }])
  })

  test('are written once', async () => {
    count(3)
    clock.advance(60)
    await turnedAway.roll('ended-minutes')
    await turnedAway.roll('ended-minutes')
    await turnedAway.roll('every')

    expect(written()).toHaveLength(1)
  })

  test('are told from those of the next', async () => {
    count(1)
    clock.advance(60)
    count(2)
    await turnedAway.roll('every')

    expect(written()).toMatchObject([
      { count: 1, minuteStartMs },
      { count: 2, minuteStartMs: minuteStartMs + 60_000 },
    ])
  })

  test.each([-7200, 960])(
    'are written though the wall clock has jumped by %d s, under the minute that it showed',
    async (seconds) => {
      count(3)
      clock.jump(seconds)
      await turnedAway.roll('ended-minutes')

      expect(written()).toMatchObject([{ count: 3, minuteStartMs }])
    },
  )

  test('take one entry, however many they are', async () => {
    count(100_000)
    await turnedAway.roll('every')

    expect(written()).toMatchObject([{ count: 100_000 }])
  })
})

describe('a ledger that cannot be written', () => {
  test('loses no count: the next roll carries it', async () => {
    count(3)
    clock.advance(60)
    await whileLedgerIsFull(async () => {
      await expect(turnedAway.roll('ended-minutes')).rejects.toMatchObject({
        code: 'LEDGER_OVERLOADED',
      })
    })
    expect(written()).toEqual([])

    await turnedAway.roll('ended-minutes')
    expect(written()).toMatchObject([{ count: 3, minuteStartMs }])
  })

  test('loses none of those who came while it was tried', async () => {
    count(3)
    await whileLedgerIsFull(async () => {
      const rolling = turnedAway.roll('every')
      count(2)
      await expect(rolling).rejects.toMatchObject({ code: 'LEDGER_OVERLOADED' })
    })
    await turnedAway.roll('every')

    expect(written()).toMatchObject([{ count: 5, minuteStartMs }])
  })

  test('does not fill the memory: at a bound the minute no longer advances, and all are counted', async () => {
    await ledger.close()
    ledger = await store.open()
    turnedAway = createTurnedAway({ ledger, clock })
    for (let minute = 0; minute < 10_010; minute += 1) {
      count(1)
      clock.advance(60)
    }
    await turnedAway.roll('every')

    const entries = written()
    expect(entries).toHaveLength(10_000)
    expect(entries.reduce((sum, entry) => sum + entry.count, 0)).toBe(10_010)
    expect(entries.at(-1)).toMatchObject({ count: 11 })

    // Written, it is over: the minute advances again.
    count(1)
    await turnedAway.roll('every')
    expect(written().at(-1)).toMatchObject({ count: 1, minuteStartMs: clock.nowMs() - 30_000 })
  })
})
