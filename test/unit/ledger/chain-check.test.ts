import { Worker } from 'node:worker_threads'
import { afterEach, describe, expect, it } from 'vitest'
import { ChainCheck } from '../../../src/ledger/chain-check.ts'
import type { ChainCheckOptions } from '../../../src/ledger/chain-check.ts'
import { startChainWorker } from '../../../src/ledger/chain-thread.ts'
import { chainHash } from '../../../src/ledger/chain.ts'
import type { Row } from '../../../src/ledger/chain.ts'
import { chainedRows, startedEntry } from '../../support/entries.ts'
import { required } from '../../support/required.ts'

/** As many as there are in one portion. */
const portion = 1000
const rows = chainedRows(
  Array.from({ length: portion * 2 + 500 }, (_, index) => startedEntry(String(index))),
)
const rowAt = (place: number): Row => required(rows[place])

const workers: Worker[] = []
afterEach(async () => {
  await Promise.all(workers.splice(0).map((worker) => worker.terminate()))
})

/** Every row is checked by a thread. */
const inThread: ChainCheckOptions = {
  rowsAtOnce: 0,
  startWorker: () => {
    const worker = startChainWorker()
    workers.push(worker)
    return worker
  },
}
const withoutThread: ChainCheckOptions = {
  startWorker: () => {
    throw new Error('a thread was started')
  },
}

async function foundIn(checked: Iterable<Row>, options: ChainCheckOptions) {
  const check = new ChainCheck(options)
  try {
    for (const row of checked) {
      check.take(row)
      if (check.isAhead) await check.caughtUp()
    }
    await check.settled()
    return check.found
  } finally {
    await check.end()
  }
}

const changed = (place: number) =>
  rows.with(place, { ...rowAt(place), canonical: Buffer.from('{}') })

describe('the check of a chain', () => {
  it('finds nothing in one that holds, and nothing in one without rows', async () => {
    for (const options of [inThread, withoutThread]) {
      expect(await foundIn(rows, options)).toBeUndefined()
      expect(await foundIn([], options)).toBeUndefined()
    }
    expect(workers).toHaveLength(1)
  })

  describe.each([
    ['in a thread', inThread],
    ['at once', withoutThread],
  ])('%s', (_, options) => {
    it.each([0, portion - 1, portion, portion + 1, portion * 2 - 1, rows.length - 1])(
      'tells every kind of fault at the place %i',
      async (place) => {
        expect(await foundIn(changed(place), options)).toEqual({
          place,
          fault: { fault: 'hash', sequence: place + 1 },
        })
        const shortened = { ...rowAt(place), hash: rowAt(place).hash.subarray(1) }
        expect(await foundIn(rows.with(place, shortened), options)).toEqual({
          place,
          fault: { fault: 'hash', sequence: place + 1 },
        })
        const renumbered = { ...rowAt(place), sequence: Number.NaN }
        expect(await foundIn(rows.with(place, renumbered), options)).toEqual({
          place,
          fault: { fault: 'sequence', sequence: Number.NaN, expected: place + 1 },
        })
      },
    )

    it.each([1, portion - 1, portion, portion + 1])(
      'tells what is missing at the place %i',
      async (place) => {
        expect(await foundIn(rows.toSpliced(place, 1), options)).toEqual({
          place,
          fault: { fault: 'sequence', sequence: place + 2, expected: place + 1 },
        })
      },
    )

    it('tells the first of many, by its place', async () => {
      const broken = changed(portion * 2).with(portion + 1, { ...rowAt(portion + 1), sequence: 7 })
      const fault = { fault: 'sequence', sequence: 7, expected: portion + 2 }
      expect(await foundIn(broken, options)).toEqual({ place: portion + 1, fault })
    })

    it('continues from what it is told to, and not from what came before', async () => {
      const check = new ChainCheck(options)
      for (const row of rows.slice(0, 3)) check.take(row)
      check.continueFrom(rowAt(portion))
      for (const row of rows.slice(portion + 1)) {
        check.take(row)
        if (check.isAhead) await check.caughtUp()
      }
      await check.settled()
      expect(check.found).toBeUndefined()
      check.continueFrom(rowAt(0))
      check.take(rowAt(2))
      await check.settled()
      expect(check.found).toMatchObject({ fault: { fault: 'sequence', sequence: 3, expected: 2 } })
      await check.end()
    })

    it('checks rows that no portion has room for, and what follows them', async () => {
      const long = longChain([20, 600 * 1024, 30, 400 * 1024, 400 * 1024, 40])
      expect(await foundIn(long, options)).toBeUndefined()
      for (const [place, row] of long.entries()) {
        const broken = long.with(place, { ...row, canonical: Buffer.from('{}') })
        const fault = { fault: 'hash', sequence: place + 1 }
        expect(await foundIn(broken, options)).toEqual({ place, fault })
      }
    })
  })

  it('starts no thread for some thousands of rows, and one for what comes after them', async () => {
    expect(await foundIn(rows, withoutThread)).toBeUndefined()
    const rowsAtOnce = 1500
    await expect(foundIn(rows, { ...withoutThread, rowsAtOnce })).rejects.toThrow('was started')
    for (const place of [rowsAtOnce - 1, rowsAtOnce, rowsAtOnce + 1]) {
      expect(await foundIn(changed(place), { ...inThread, rowsAtOnce })).toMatchObject({ place })
    }
  })

  it('ends its thread', async () => {
    await foundIn(rows, inThread)
    // Node's own word for a thread that is no more.
    expect(workers.map(({ threadId }) => threadId)).toEqual([-1])
  })

  it('fails when its thread ends or fails, and says which', async () => {
    const ends = () => new Worker('process.exit(0)', { eval: true })
    const fails = () => new Worker('throw new RangeError("no room")', { eval: true })
    await expect(foundIn(rows, { rowsAtOnce: 0, startWorker: ends })).rejects.toThrow(
      'the thread that checks the chain of the ledger has ended',
    )
    await expect(foundIn(rows, { rowsAtOnce: 0, startWorker: fails })).rejects.toMatchObject({
      message: 'the thread that checks the chain of the ledger has failed',
      cause: expect.objectContaining({ message: 'no room' }) as unknown,
    })
  })

  it('fails when its thread ends under way, however much is still to come', async () => {
    const check = new ChainCheck(inThread)
    const following = async () => {
      for (let round = 0; round < 20; round += 1) {
        check.continueFrom({ sequence: 0, hash: Buffer.alloc(32) })
        for (const row of rows) {
          check.take(row)
          if (check.isAhead) await check.caughtUp()
        }
        if (round === 3) void workers[0]?.terminate()
      }
    }
    await expect(following()).rejects.toThrow('has ended')
    await expect(check.settled()).rejects.toThrow('has ended')
    await check.end()
  })
})

/** Of entries that are as long as that. */
function longChain(lengths: readonly number[]): readonly Row[] {
  let hash: Uint8Array = Buffer.alloc(32)
  return lengths.map((length, index) => {
    const canonical = Buffer.from(JSON.stringify({ text: 'x'.repeat(length) }))
    hash = chainHash(hash, canonical)
    return { sequence: index + 1, canonical, hash }
  })
}
