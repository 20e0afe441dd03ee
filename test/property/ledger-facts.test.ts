import { EventEmitter } from 'node:events'
import type { Worker } from 'node:worker_threads'
import { afterAll, expect, test } from 'vitest'
import { startChainWorker } from '../../src/ledger/chain-thread.ts'
import { chainHash, genesisHash } from '../../src/ledger/chain.ts'
import type { Link, Row } from '../../src/ledger/chain.ts'
import { canonicalCut, cutRowFrom } from '../../src/ledger/cut.ts'
import type { ChainCheckOptions } from '../../src/ledger/chain-check.ts'
import type { LedgerFacts } from '../../src/reconcile/ledger-facts.ts'
import { randomFrom } from '../support/audit/story.ts'
import type { Random } from '../support/audit/story.ts'
import { chainedRows, startedEntry } from '../support/entries.ts'
import { ledgerFactsOfPages } from '../support/ledger-facts.ts'
import { required } from '../support/required.ts'
import { begun, loaded, made } from '../support/signed-traffic.ts'

/** Daily; `AUDIT_RUNS=2000` for as many as an issue is resolved with. */
const runs = Number(process.env['AUDIT_RUNS'] ?? 200)

/** Three portions of a chain, and some signatures across their borders. */
const rows = chainedRows([
  loaded,
  ...Array.from({ length: 2500 }, (_, index) =>
    index % 50 === 0 ? [begun(index), made(index)] : [startedEntry(String(index))],
  ).flat(),
])

type Damage = (rows: readonly Row[], at: number, random: Random) => readonly Row[]

const rowAt = (from: readonly Row[], at: number): Row => required(from[at])

const longer = (hash: Uint8Array): Uint8Array => Buffer.concat([hash, Buffer.from('x')])

/** What stands for all rows up to this one. */
const cutAt = ({ sequence, hash }: Link): Row =>
  cutRowFrom(
    Buffer.from(
      canonicalCut({
        kind: 'ledger.cut',
        atMs: loaded.atMs,
        ledger: Buffer.from(rowAt(rows, 0).hash).toString('base64url'),
        from: 1,
        sequence: Math.max(sequence, 1),
        hash: Buffer.from(hash).toString('base64url'),
        head: 'a.b.c',
        heldBy: 'witness',
        by: 'operator',
        headKeys: [],
        certificates: [],
      }),
    ),
  )

/** Chained anew from there on, as by somebody who has written what no service writes. */
function chainedFrom(before: readonly Row[], at: number, canonical: Buffer): readonly Row[] {
  let hash = before[at - 1]?.hash ?? genesisHash
  return before.map((row, index) => {
    if (index < at) return row
    const bytes = index === at ? canonical : row.canonical
    hash = chainHash(hash, bytes)
    return { ...row, canonical: bytes, hash }
  })
}

const damages: readonly Damage[] = [
  (from, at) => from.with(at, { ...rowAt(from, at), canonical: Buffer.from('{"kind":"x"}') }),
  (from, at) => from.with(at, { ...rowAt(from, at), hash: longer(rowAt(from, at).hash) }),
  (from, at) => from.with(at, { ...rowAt(from, at), hash: Buffer.alloc(0) }),
  (from, at, random) => from.with(at, { ...rowAt(from, at), sequence: random() * 5000 }),
  (from, at) => from.toSpliced(at, 1),
  (from, at) => from.toSpliced(at, 0, rowAt(from, at)),
  (from, at) => from.toSpliced(at, 2, rowAt(from, at + 1), rowAt(from, at)),
  (from, at) => chainedFrom(from, at, Buffer.from('{"kind":"signature.made"}')),
  (from, at) => chainedFrom(from, at, Buffer.from('{"kind":"signature.begun",')),
  (from, at) => chainedFrom(from, at, Buffer.from(`{"atMs":1,"x":"${'x'.repeat(600_000)}"}`)),
  (from, at) => [cutAt(rowAt(from, at)), ...from.slice(at + 1)],
  (from, at) => from.toSpliced(at + 1, 0, cutAt(rowAt(from, at))),
  (from, at) => from.toSpliced(at, 0, cutAt(rowAt(from, at))),
]

/** Where portions meet is where an error of ours would be. */
function somePlace(random: Random, length: number): number {
  const place = random() < 0.5 ? random() * length : 1000 * Math.floor(random() * 3) + random() * 4
  return Math.min(Math.max(Math.floor(place) - 2, 0), length - 2)
}

function damaged(random: Random): readonly Row[] {
  let changed = rows
  const times = Math.floor(random() * 4)
  for (let time = 0; time < times; time += 1) {
    const damage = required(damages[Math.floor(random() * damages.length)])
    changed = damage(changed, somePlace(random, changed.length), random)
  }
  return changed
}

/** In pages of any length, up to the place from which the file cannot be read. */
function* pagesOf(all: readonly Row[], random: Random): Generator<Iterable<Row>> {
  const readable = random() < 0.8 ? all.length : somePlace(random, all.length)
  for (let at = 0; at < readable;) {
    const end = Math.min(at + 1 + Math.floor(random() * 1500), readable)
    yield all.slice(at, end)
    at = end
  }
  if (readable < all.length) yield unreadable()
}

function* unreadable(): Generator<Row> {
  throw new Error('database disk image is malformed')
}

/** One thread for all, which only seems to end. */
const worker = startChainWorker()
afterAll(() => worker.terminate())
let borrowed = new EventEmitter()
worker.on('message', (answer) => borrowed.emit('message', answer))
const inThread: ChainCheckOptions = {
  rowsAtOnce: 0,
  startWorker: () => {
    borrowed = Object.assign(new EventEmitter(), {
      postMessage: (portion: unknown) => {
        worker.postMessage(portion)
      },
      terminate: () => Promise.resolve(0),
    })
    // eslint-disable-next-line @typescript-eslint/no-unsafe-class-instance-assignment -- it answers as one
    return borrowed as Worker
  },
}

/** All that is a value. */
const comparable = ({ answered, exchanges, ...facts }: LedgerFacts) => ({
  ...facts,
  answered: Array.from({ length: answered.size }, (_, ordinal) => [
    answered.ending(ordinal),
    answered.settledAtMs(ordinal),
  ]),
  exchanges: typeof exchanges,
})

test('a ledger says the same, whatever thread its chain is checked in', async () => {
  const kinds = new Map<string, number>()
  for (let seed = 1; seed <= runs; seed += 1) {
    const drawn = () => {
      const random = randomFrom(seed)
      return pagesOf(damaged(random), random)
    }
    const atOnce = await ledgerFactsOfPages(drawn(), { rowsAtOnce: Infinity })
    const beside = await ledgerFactsOfPages(drawn(), inThread)
    expect({ seed, ...comparable(beside) }).toEqual({ seed, ...comparable(atOnce) })
    const fault = `${atOnce.fault?.fault ?? 'none'}${atOnce.prunedUntilMs === undefined ? '' : ', pruned'}`
    kinds.set(fault, (kinds.get(fault) ?? 0) + 1)
  }
  // None of them is compared with itself alone.
  for (const fault of ['none', 'hash', 'sequence', 'unreadable']) {
    expect(kinds.get(fault) ?? 0, fault).toBeGreaterThan(0)
    expect(kinds.get(`${fault}, pruned`) ?? 0, `${fault}, pruned`).toBeGreaterThan(0)
  }
}, 300_000)
