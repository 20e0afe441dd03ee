import { type ChildProcess, spawn } from 'node:child_process'
import { renameSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as delay } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { FindingBody } from '../../src/reconcile/rounds/finding-body.ts'
import { startPostgres } from '../support/postgres.ts'
import { createReconcileFiles, type ReconcileFiles } from '../support/reconcile-files.ts'
import { openLedgerAt } from '../support/postgres-store.ts'
import {
  begun,
  lastRecordLine,
  loaded,
  made,
  proved,
  recordLine,
} from '../support/signed-traffic.ts'

/** `countersign reconcile --watch` whose ledger goes away and comes back: both are told, once. */

const entries = [loaded, begun(0), made(0), proved(0)]
const patienceMs = 60_000

let files: ReconcileFiles
let watcher: ChildProcess | undefined
let told: FindingBody[]
let said: string
beforeEach(async () => {
  files = await createReconcileFiles(entries)
  files.write('vault.json', [recordLine(0), lastRecordLine()].join('\n'))
  told = []
  said = ''
})
afterEach(() => {
  watcher?.kill('SIGKILL')
  files.remove()
})

function startWatching(ledger: string): void {
  const child = spawn(
    process.execPath,
    [
      join(import.meta.dirname, '../../src/cli/countersign.ts'),
      ...['reconcile', '--ledger', ledger, '--vault-log', join(files.folder, 'vault.json')],
      ...['--watch', '--every', '1s', '--json', '--state', join(files.folder, 'reconciled')],
    ],
    { env: {}, stdio: ['ignore', 'pipe', 'pipe'] },
  )
  createInterface({ input: child.stdout }).on('line', (line) => {
    told.push(JSON.parse(line) as FindingBody)
  })
  child.stderr.on('data', (chunk: Buffer) => {
    said += chunk.toString()
  })
  watcher = child
}

async function until(holds: () => boolean): Promise<void> {
  const deadline = Date.now() + patienceMs
  while (!holds()) {
    if (Date.now() > deadline) throw new Error(`it never came to that: ${said}`)
    await delay(50)
  }
}

async function goesAndComes(
  away: () => void | Promise<void>,
  back: () => void | Promise<void>,
): Promise<void> {
  await until(() => said.includes('watching: 0 findings'))
  await away()
  await until(() => told.length > 0)
  // Some rounds more.
  const complaints = () => said.split('reconcile: ').length
  const before = complaints()
  await until(() => complaints() > before + 2)
  expect(told).toMatchObject([{ event: 'finding.new', finding: { kind: 'logs.unreadable' } }])
  expect(told[0]?.finding.facts).toContainEqual({ name: 'of', value: 'the ledger of the service' })
  await back()
  await until(() => told.length > 1)
  expect(told.slice(1)).toMatchObject([
    { event: 'finding.resolved', finding: { id: told[0]?.finding.id } },
  ])
}

test('tells that its file is gone, and that it is back', { timeout: 3 * patienceMs }, async () => {
  const { ledgerFile } = files
  startWatching(ledgerFile)
  await goesAndComes(
    () => {
      renameSync(ledgerFile, `${ledgerFile}.away`)
    },
    () => {
      renameSync(`${ledgerFile}.away`, ledgerFile)
    },
  )
})

test('tells that its file is locked', { timeout: 3 * patienceMs }, async () => {
  startWatching(files.ledgerFile)
  const other = new DatabaseSync(files.ledgerFile)
  await goesAndComes(
    () => {
      other.exec('PRAGMA locking_mode = EXCLUSIVE')
      other.exec('BEGIN EXCLUSIVE')
    },
    () => {
      other.close()
    },
  )
})

test('tells that its database is down', { timeout: 3 * patienceMs }, async () => {
  const server = await startPostgres()
  try {
    const url = await server.createDatabase()
    const ledger = await openLedgerAt(url)
    await ledger.append(entries)
    await ledger.close()
    startWatching(url)
    await goesAndComes(
      () => server.kill(),
      () => server.start(),
    )
    expect(JSON.stringify(told)).not.toContain(new URL(url).password || 'no password')
  } finally {
    await server.stop()
  }
})
