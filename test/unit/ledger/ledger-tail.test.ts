import { mkdtempSync, rmSync } from 'node:fs'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { canonicalCut } from '../../../src/ledger/cut.ts'
import { tailOfFile } from '../../../src/ledger/ledger-tail.ts'
import { createSqliteLedger } from '../../../src/ledger/sqlite-ledger.ts'
import { verifyChain } from '../../../src/ledger/verify.ts'
import { chainedRows, startedEntry } from '../../support/entries.ts'
import { required } from '../../support/required.ts'

let folder: string
let file: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'countersign-tail-'))
  file = join(folder, 'countersign.db')
})
afterEach(() => {
  rmSync(folder, { recursive: true })
})

/** Prunes up to one entry, and puts all back, again and again: many prunings in the time of a test. */
const pruningThread = `
  const { workerData, parentPort } = require('node:worker_threads')
  const { DatabaseSync } = require('node:sqlite')
  const db = new DatabaseSync(workerData.file, { timeout: 10000 })
  db.exec('PRAGMA synchronous = OFF')
  db.exec('CREATE TABLE cut (one INTEGER PRIMARY KEY, statement TEXT NOT NULL) STRICT; PRAGMA user_version = 4')
  db.exec('CREATE TABLE kept AS SELECT * FROM entry')
  const prune = db.prepare('DELETE FROM entry WHERE sequence <= ?')
  const cut = db.prepare('INSERT INTO cut (one, statement) VALUES (1, ?)')
  const inTransaction = (act) => { db.exec('BEGIN IMMEDIATE'); act(); db.exec('COMMIT') }
  let isOver = false
  parentPort.on('message', () => { isOver = true })
  const go = () => {
    if (isOver) { db.close(); parentPort.close(); return }
    for (let times = 0; times < 20; times += 1) {
      inTransaction(() => { prune.run(workerData.upTo); cut.run(workerData.statement) })
      inTransaction(() => {
        db.exec('DELETE FROM cut')
        db.exec('INSERT INTO entry SELECT * FROM kept WHERE sequence <= ' + workerData.upTo)
      })
    }
    setImmediate(go)
  }
  parentPort.postMessage('ready')
  go()
`

test('the rows of a file, and what stands for those that were pruned, are of one moment', async () => {
  const entries = Array.from({ length: 12 }, (_, index) => startedEntry(`${index}`))
  const ledger = await createSqliteLedger({ file })
  await ledger.append(entries)
  await ledger.close()
  const [first, last] = [1, 8].map((at) => required(chainedRows(entries)[at - 1]))
  const base64url = (hash: Uint8Array) => Buffer.from(hash).toString('base64url')
  const statement = canonicalCut({
    kind: 'ledger.cut',
    atMs: 0,
    ledger: base64url(required(first).hash),
    from: 1,
    sequence: 8,
    hash: base64url(required(last).hash),
    head: 'none',
    heldBy: 'witness',
    by: 'owner',
    headKeys: [],
    certificates: [],
  })
  const pruning = new Worker(pruningThread, {
    eval: true,
    workerData: { file, statement, upTo: 8 },
  })
  await once(pruning, 'message')
  const tail = tailOfFile(file)
  const seen = new Set<string>()
  for (let reads = 0; reads < 3000 || (seen.size < 2 && reads < 100_000); reads += 1) {
    const rows = await tail.rowsFrom(1, 100)
    const isSound = verifyChain(rows).ok && rows.at(-1)?.sequence === entries.length
    seen.add(`${rows[0]?.isCut === true ? 'pruned' : 'whole'} ${isSound ? 'sound' : 'broken'}`)
  }
  pruning.postMessage('stop')
  await once(pruning, 'exit')
  expect([...seen].toSorted()).toEqual(['pruned sound', 'whole sound'])
})
