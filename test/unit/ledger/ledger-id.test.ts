import { afterEach, expect, test } from 'vitest'
import type { Cut } from '../../../src/ledger/cut.ts'
import { ledgerIdOf } from '../../../src/ledger/ledger-id.ts'
import { ledgerInFile } from '../../../src/ledger/ledger-source.ts'
import { pruneLedgerFile } from '../../../src/ledger/prune-file.ts'
import { readEnd, readRows } from '../../../src/ledger/read.ts'
import type { Entry } from '../../../src/ledger/entry.ts'
import { changeFile } from '../../support/ledger-store.ts'
import { createReconcileFiles, type ReconcileFiles } from '../../support/reconcile-files.ts'
import { required } from '../../support/required.ts'
import { begun, loaded, made, startMs } from '../../support/signed-traffic.ts'

let files: ReconcileFiles
afterEach(() => {
  files.remove()
})

const ledgerOf = async (entries: readonly Entry[]) => {
  files = await createReconcileFiles(entries)
  return ledgerInFile(files.ledgerFile)
}

const base64url = (hash: Uint8Array) => Buffer.from(hash).toString('base64url')

test('a ledger is told by the hash of its first entry, and keeps its id when that is pruned', async () => {
  const ledger = await ledgerOf([loaded, begun(0), made(0)])
  const [first, second] = [...readRows(files.ledgerFile)]
  const id = base64url(required(first).hash)
  expect(await ledgerIdOf(ledger)).toBe(id)
  pruneLedgerFile(files.ledgerFile, {
    kind: 'ledger.cut',
    atMs: startMs,
    ledger: id,
    from: 1,
    sequence: 2,
    hash: base64url(required(second).hash),
    head: 'a.b.c',
    heldBy: 'witness',
    by: 'operator',
    headKeys: [],
    certificates: [],
  } satisfies Cut)
  expect(await ledgerIdOf(ledger)).toBe(id)
})

test('what begins with another entry has none, wherever it is asked for', async () => {
  const ledger = await ledgerOf([loaded, begun(0), made(0)])
  const [first] = [...readRows(files.ledgerFile)]
  expect(readEnd(files.ledgerFile)).toMatchObject({
    ledger: base64url(required(first).hash),
    tip: { sequence: 3 },
  })
  changeFile(files.ledgerFile, 'DELETE FROM entry WHERE sequence = 1')
  expect(await ledgerIdOf(ledger)).toBeUndefined()
  expect(() => readEnd(files.ledgerFile)).toThrow('begins neither with its first entry')
})

test('an empty ledger has no id yet', async () => {
  expect(await ledgerIdOf(await ledgerOf([]))).toBeUndefined()
})
