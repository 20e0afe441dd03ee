import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { verifyLedger } from '../../src/custody/verify-ledger.ts'
import { ledgerInDatabase, ledgerInFile } from '../../src/ledger/ledger-source.ts'
import { reconcile } from '../support/reconcile-paths.ts'
import type { TestEmulator } from '../support/emulator.ts'
import { strike } from '../support/faults.ts'
import { startPostgres } from '../support/postgres.ts'
import { ledgerAt, verifiedEntriesAt } from '../support/postgres-store.ts'
import { serveFrom, type Served } from '../support/served.ts'
import { makeStuckFile } from '../support/stuck-file.ts'
import { startServiceEmulator } from '../support/test-service.ts'

/** Heads over the life of `countersign serve`, and what an auditor finds behind it. */

let emulator: TestEmulator
let folder: string
let served: Served[]
let tests = 0
beforeEach(() => {
  tests += 1
})
beforeAll(async () => {
  emulator = await startServiceEmulator()
  folder = mkdtempSync(join(tmpdir(), 'countersign-heads-'))
  served = []
})
afterEach(async () => {
  emulator.faults.clear()
  await Promise.all(served.map((one) => one.remove()))
  served = []
})
afterAll(async () => {
  await emulator.stop()
  rmSync(folder, { recursive: true })
})

/** One of each test's own. */
const anchor = () => join(folder, `${tests}.jsonl`)

/** @param database Absent: a file of its own. */
function serve(database?: string): Served {
  const service = serveFrom(emulator, {
    configuration: (file) => ({
      ...file,
      ...(database === undefined ? {} : { ledger: { postgres: database } }),
      heads: {
        key: { vault: emulator.vaultUrl('contoso-hsm'), name: 'ledger-heads' },
        everySeconds: 10,
        anchors: [{ file: anchor() }],
      },
    }),
  })
  served.push(service)
  return service
}

async function stopped(service: Served): Promise<void> {
  await service.said('ready')
  service.signal('SIGTERM')
  expect(await service.ended).toBe(0)
}

test('a run ends with a head for its last entry, which its anchor has and an auditor can count on', async () => {
  const service = serve()
  await stopped(service)
  const kinds = service.entries().map(({ kind }) => kind)
  // The key is on record before the first head, which may be this one.
  expect(kinds.filter((kind) => kind !== 'head.key-loaded').slice(-4)).toEqual([
    'service.stopped',
    'signature.begun',
    'signature.made',
    'head.signed',
  ])
  const ledger = ledgerInFile(service.ledgerFile)
  const evidence = { headKeys: [], anchors: [anchor()], certificates: [] }
  expect(await verifyLedger(ledger.pages(), evidence)).toMatchObject({
    verdict: 'sound',
    provenUpTo: kinds.length - 3,
    unsealed: 3,
  })
  // Before any proof is due.
  const nowMs = Date.now() + 60_000
  const report = await reconcile({
    ledger,
    vaultLogPaths: [emulator.endpoints.vaultLogFolder],
    keys: [],
    nowMs,
    graceMs: 0,
  })
  expect(report.findings).toEqual([])
  expect(report.vaultLog.explained).toBe(kinds.filter((kind) => kind === 'signature.made').length)
  expect(report.watchedKeys.some((key) => key.endsWith('/ledger-heads'))).toBe(true)
})

test('replicas on one database sign one head after the other, whoever ends first', async () => {
  const server = await startPostgres()
  try {
    const url = await server.createDatabase()
    const replicas = [serve(url), serve(url)]
    await Promise.all(replicas.map((one) => one.said('ready')))
    for (const one of replicas) one.signal('SIGTERM')
    expect(await Promise.all(replicas.map((one) => one.ended))).toEqual([0, 0])
    const entries = await verifiedEntriesAt(url)
    const heads = entries.filter((entry) => entry.kind === 'head.signed')
    expect(heads.length).toBeGreaterThan(0)
    const sequences = heads.map(({ sequence }) => sequence)
    expect(sequences).toEqual(sequences.toSorted((a, b) => a - b))
    const ledger = ledgerInDatabase(ledgerAt(url))
    const evidence = { headKeys: [], anchors: [anchor()], certificates: [] }
    expect(await verifyLedger(ledger.pages(), evidence)).toMatchObject({
      verdict: 'sound',
      provenUpTo: sequences.at(-1),
      anchors: [{ verified: heads.length, unread: 0 }],
    })
  } finally {
    await server.stop()
  }
})

test('a run ends in time, and in order, when its last head cannot be signed', async () => {
  const service = serve()
  await service.said('ready')
  strike(emulator, {
    at: 'vault',
    kind: 'delay',
    match: 'POST /keys/ledger-heads/',
    times: 5,
    delayMs: 60_000,
  })
  service.signal('SIGTERM')
  expect(await service.ended).toBe(0)
  expect(service.entries().some(({ kind }) => kind === 'service.stopped')).toBe(true)
  expect(service.log.some(({ msg }) => msg === 'the last head was not signed')).toBe(true)
})

test(
  'an anchor that hangs keeps no head from being signed, and no run from its end',
  { timeout: 120_000 },
  async () => {
    const stuck = makeStuckFile(anchor())
    try {
      const service = serve()
      await service.said('an anchor does not keep a head')
      service.signal('SIGTERM')
      // By the signal, because an exit would wait for the file.
      expect(await service.ended).toBeNull()
      expect(service.log.at(-1)?.msg).toBe('stopped')
      expect(service.entries().at(-1)?.kind).toBe('head.signed')
      expect(service.log.some(({ msg }) => msg === 'the last head was not signed')).toBe(false)
    } finally {
      stuck.remove()
    }
  },
)
