import { mkdirSync } from 'node:fs'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { genesisHash } from '../../../src/ledger/chain.ts'
import type { SignatureMade } from '../../../src/ledger/entry.ts'
import { exportedLine } from '../../../src/ledger/exported-ledger.ts'
import { behindExports, ledgerInFile } from '../../../src/ledger/ledger-source.ts'
import { pruneLedgerFile } from '../../../src/ledger/prune-file.ts'
import { readRows } from '../../../src/ledger/read.ts'
import { reconcile } from '../../support/reconcile-paths.ts'
import { createReconcileFiles, type ReconcileFiles } from '../../support/reconcile-files.ts'
import { required } from '../../support/required.ts'
import {
  begun,
  lastRecordLine,
  laterMs,
  loaded,
  made,
  minuteMs,
  recordLine,
  startMs,
  withProofs,
} from '../../support/signed-traffic.ts'

let files: ReconcileFiles
let exported: string
const signatures = [0, 10, 20]
const { keyId, thumbprintSha256, notAfterSeconds, der } = loaded

/** All up to the first signature's begin is pruned, so that it ends in what is left: in the first entry of that. */
async function pruneWith(first: Partial<SignatureMade> = {}): Promise<void> {
  files = await createReconcileFiles(
    withProofs([
      loaded,
      ...signatures.flatMap((index) => [begun(index), made(index, index === 0 ? first : {})]),
    ]),
  )
  mkdirSync(files.logFolder, { recursive: true })
  const rows = [...readRows(files.ledgerFile)]
  exported = files.write('old.jsonl', rows.slice(0, 2).map(exportedLine).join(''))
  const base64url = (hash: Uint8Array) => Buffer.from(hash).toString('base64url')
  pruneLedgerFile(files.ledgerFile, {
    kind: 'ledger.cut',
    atMs: startMs,
    ledger: base64url(rows[0]?.hash ?? genesisHash),
    from: 1,
    sequence: 2,
    hash: base64url(required(rows[1]).hash),
    head: 'a.b.c',
    heldBy: 'witness',
    by: 'operator',
    headKeys: [],
    certificates: [{ keyId, thumbprintSha256, notAfterSeconds, der }],
  })
}
beforeEach(() => pruneWith())
afterEach(() => {
  files.remove()
})

const account = (source = ledgerInFile(files.ledgerFile), ...records: readonly string[]) => {
  const log = files.write('records.json', [...records, lastRecordLine()].join('\n'))
  return reconcile({
    ledger: source,
    vaultLogPaths: [log],
    keys: [],
    nowMs: laterMs,
    graceMs: 30 * minuteMs,
  })
}
const ours = signatures.map((index) => recordLine(index))

test('what was signed before the cut is not decided, and called neither ours nor foreign', async () => {
  const report = await account(undefined, ...ours)
  expect(report.findings).toEqual([])
  expect(report.undecided).toMatchObject([{ reason: 'ledger-pruned', count: 1 }])
  expect(report).toMatchObject({ verdict: 'undecided', vaultLog: { explained: 2 } })
})

test('with the export it is decided as if nothing had been pruned', async () => {
  const source = behindExports([exported], ledgerInFile(files.ledgerFile))
  expect(await account(source, ...ours)).toMatchObject({
    verdict: 'accounted-for',
    vaultLog: { explained: 3 },
  })
})

test('a signature of others behind the cut is found as ever', async () => {
  const report = await account(undefined, ...ours, recordLine(5))
  expect(report.findings).toMatchObject([{ kind: 'sign.unexplained' }])
})

test('so it is whatever time the first entry says that is left', async () => {
  files.remove()
  await pruneWith({ atMs: Date.UTC(2100, 0) })
  const report = await account(undefined, ...ours, recordLine(5))
  expect(report.findings.map(({ kind }) => kind)).toContain('sign.unexplained')
})
