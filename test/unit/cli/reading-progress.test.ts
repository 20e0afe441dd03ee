import { spawnSync } from 'node:child_process'
import { closeSync, existsSync, fstatSync, openSync, readFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { readingProgress } from '../../../src/cli/reading-progress.ts'
import type { Row } from '../../../src/ledger/chain.ts'
import { startedEntry } from '../../support/entries.ts'
import { createReconcileFiles, type ReconcileFiles } from '../../support/reconcile-files.ts'
import { recordLine } from '../../support/signed-traffic.ts'

const rowsOf = (count: number): readonly Row[] =>
  Array.from({ length: count }, (_, index) => ({
    sequence: index + 1,
    hash: Buffer.alloc(32),
    canonical: Buffer.alloc(2),
  }))

function terminal() {
  const written: string[] = []
  const stream = {
    isTTY: true,
    write: (text: string) => {
      written.push(text)
      return true
    },
  }
  return { stream, written }
}

const read = async (pages: AsyncIterable<Iterable<Row>> | Iterable<Iterable<Row>>) => {
  let rows = 0
  for await (const page of pages) rows += [...page].length
  return rows
}

describe('how much was read', () => {
  test('is shown on a terminal, also of a page that is all of the ledger, and wiped away', async () => {
    const { stream, written } = terminal()
    const progress = readingProgress(stream)
    const ledger = progress.ofLedger({ name: 'x', pages: () => [rowsOf(2500)] })
    expect(await read(ledger.pages())).toBe(2500)
    expect(written).toEqual(['\r\u001b[Kread 1000 entries of the ledger'])
    progress.clear()
    progress.clear()
    expect(written.slice(1)).toEqual(['\r\u001b[K'])
  })

  test('is said of the logs too, behind what was read of the ledger', async () => {
    const { stream, written } = terminal()
    const progress = readingProgress(stream)
    const source = {
      name: 'log',
      arrivals: () => Promise.reject(new Error('not asked for')),
      // eslint-disable-next-line @typescript-eslint/require-await -- as a log is read
      async *records() {
        yield [{ kind: 'unread', place: '', why: '' } as never, {} as never]
      },
    }
    const { vaultLogs } = progress.ofLogs({ vaultLogs: [source], signInLogs: [], auditLogs: [] })
    for await (const batch of vaultLogs[0]?.records(0) ?? []) expect(batch).toHaveLength(2)
    expect(written).toEqual(['\r\u001b[Kread 0 entries of the ledger, 2 records'])
  })

  test('is counted nowhere else', () => {
    const { stream, written } = terminal()
    const progress = readingProgress({ ...stream, isTTY: false })
    const ledger = { name: 'x', pages: () => [rowsOf(2500)] }
    expect(progress.ofLedger(ledger)).toBe(ledger)
    progress.show({ entries: 5 })
    progress.clear()
    expect(written).toEqual([])
  })
})

describe('countersign ledger export', () => {
  test('writes what it has read before it reads on, so that no ledger is too large', async () => {
    const files = await createReconcileFiles(
      Array.from({ length: 2500 }, (_, index) => startedEntry(`${index}`)),
    )
    // Of a file that is damaged behind its middle, what comes before is written.
    const file = openSync(files.ledgerFile, 'r+')
    const { size } = fstatSync(file)
    const from = Math.floor((size * 0.7) / 4096) * 4096
    writeSync(file, Buffer.alloc(size - from, 0xff), 0, size - from, from)
    closeSync(file)
    const { status, stdout } = spawnSync(
      process.execPath,
      ['src/cli/countersign.ts', 'ledger', 'export', '--ledger', files.ledgerFile],
      { encoding: 'utf8', timeout: 60_000 },
    )
    files.remove()
    expect(status).toBe(1)
    expect(stdout.split('\n').length).toBeGreaterThan(1000)
    expect(stdout.startsWith('{"sequence":1,')).toBe(true)
  })
})

describe.runIf(existsSync('/usr/bin/script'))('on a terminal', () => {
  let files: ReconcileFiles
  beforeEach(async () => {
    files = await createReconcileFiles(
      Array.from({ length: 2500 }, (_, index) => startedEntry(`${index}`)),
    )
    files.writeBlob(4, recordLine(0))
  })
  afterEach(() => {
    files.remove()
  })

  /** What a person sees while standard output goes elsewhere. */
  function seen(command: string): { readonly screen: string; readonly out: string } {
    const out = join(files.folder, 'out')
    const line = `'${process.execPath}' src/cli/countersign.ts ${command} > '${out}'`
    const { stdout } = spawnSync('/usr/bin/script', ['-qec', line, '/dev/null'], {
      encoding: 'utf8',
      timeout: 60_000,
    })
    return { screen: stdout, out: readFileSync(out, 'utf8') }
  }

  test.each([
    ['ledger verify', () => `ledger verify --ledger '${files.ledgerFile}'`, 'SOUND'],
    ['ledger export', () => `ledger export --ledger '${files.ledgerFile}'`, '{"sequence":2500,'],
    [
      'reconcile',
      () =>
        `reconcile --ledger '${files.ledgerFile}' --vault-log '${files.logFolder}' --grace-minutes 0`,
      'the ledger',
    ],
  ] as const)('%s shows how far it is, and prints nothing else for it', (_, command, said) => {
    const { screen, out } = seen(command())
    expect(screen).toContain('read 1000 entries of the ledger')
    expect(screen.endsWith('\r\u001b[K')).toBe(true)
    expect(out).toContain(said)
    expect(out).not.toContain('\u001b')
  })
})
