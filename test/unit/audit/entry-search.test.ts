import { describe, expect, test } from 'vitest'
import { searchByTime } from '../../../src/audit/entry-search.ts'
import { attemptOutcome } from '../../../src/audit/read-attempt.ts'
import type { Row } from '../../../src/ledger/chain.ts'
import type { LedgerTail } from '../../../src/ledger/ledger-tail.ts'

const startMs = Date.UTC(2026, 10, 27)
/** More than are read about one time. */
const rowsOfLedger = 60_000
const cutAt = 100

const row = (sequence: number): Row => ({
  sequence,
  hash: new Uint8Array(32),
  canonical: Buffer.from(
    JSON.stringify({ attempt: `attempt-${sequence}`, atMs: startMs + sequence * 1000 }),
  ),
})
const cut: Row = {
  sequence: cutAt,
  hash: new Uint8Array(32),
  // Pruned when all the others were long there.
  canonical: Buffer.from(JSON.stringify({ atMs: startMs + 2 * rowsOfLedger * 1000 })),
  isCut: true,
}
const left = Array.from({ length: rowsOfLedger - cutAt }, (_, index) => row(cutAt + 1 + index))

const pruned: LedgerTail = {
  rowsFrom: (sequence, rowsMax) => {
    const from = Math.max(0, sequence - cutAt - 1)
    const rows = left.slice(from, from + rowsMax)
    return Promise.resolve(sequence <= cutAt ? [cut, ...rows] : rows)
  },
}
const found = (sequence: number) =>
  searchByTime(pruned).rowsNaming([
    { id: `attempt-${sequence}`, nearMs: startMs + sequence * 1000 },
  ])

describe('in a ledger that was pruned', () => {
  test.each([cutAt + 1, 30_000, rowsOfLedger])('entry %i is found', async (sequence) => {
    expect(await found(sequence)).toEqual({ rows: [row(sequence)], complete: true })
  })

  test('what was pruned is not, nor what stands for it', async () => {
    expect(await found(cutAt)).toEqual({ rows: [], complete: true })
  })
})

describe('an attempt of which nothing was found', () => {
  test('is unknown where all was looked at', () => {
    expect(attemptOutcome({ rows: [], complete: true })).toMatchObject({ ok: false })
  })

  test('is not said to be unknown where something was not looked at', () => {
    expect(attemptOutcome({ rows: [], complete: false })).toMatchObject({ ok: true })
  })
})
