import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Ledger } from '../../../src/ledger/ledger.ts'
import { createSqliteLedger } from '../../../src/ledger/sqlite-ledger.ts'
import { startedEntry } from '../../support/entries.ts'
import { changeFile, createSqliteStore, verifiedEntries } from '../../support/ledger-store.ts'

const appender = fileURLToPath(new URL('../../support/append-until-killed.ts', import.meta.url))

let store: ReturnType<typeof createSqliteStore>
beforeEach(() => {
  store = createSqliteStore()
})
afterEach(() => {
  store.remove()
})

const beside = (name: string) => join(dirname(store.file), name)

async function withLedger(act: (ledger: Ledger) => Promise<void>): Promise<void> {
  const ledger = await store.open()
  try {
    await act(ledger)
  } finally {
    await ledger.close()
  }
}

const writeOnce = (version: string) =>
  withLedger(async (ledger) => {
    await ledger.append([startedEntry(version)])
  })

describe('the file of a SQLite ledger', () => {
  it('is for its owner alone, with everything beside it', async () => {
    await withLedger(async (ledger) => {
      await ledger.append([startedEntry('1')])
      for (const suffix of ['', '-wal', '-shm', '-writer']) {
        expect(statSync(`${store.file}${suffix}`).mode & 0o777, suffix).toBe(0o600)
      }
    })
  })

  it('keeps the mode that it has', async () => {
    writeFileSync(store.file, '', { mode: 0o640 })
    await writeOnce('1')
    expect(statSync(store.file).mode & 0o777).toBe(0o640)
  })

  it('is whole by itself after closing', async () => {
    await writeOnce('1')
    expect(existsSync(`${store.file}-wal`)).toBe(false)
  })

  it('can be read while the ledger is open', async () => {
    await withLedger(async (ledger) => {
      await ledger.append([startedEntry('1')])
      expect(verifiedEntries(store.file)).toEqual([startedEntry('1')])
      await ledger.append([startedEntry('2')])
      expect(verifiedEntries(store.file)).toHaveLength(2)
    })
  })

  it('has one writer: another is refused, also by another name, until the first closes', async () => {
    symlinkSync(store.file, beside('alias.db'))
    await withLedger(async (ledger) => {
      for (const file of [store.file, beside('alias.db')]) {
        await expect(createSqliteLedger({ file })).rejects.toMatchObject({
          name: 'LedgerFileError',
          code: 'LEDGER_IN_USE',
          message: `another process is writing the ledger ${file}`,
        })
      }
      // Neither the refusals nor the readers took the lock away.
      await ledger.append([startedEntry('1')])
      expect(verifiedEntries(store.file)).toHaveLength(1)
      await expect(store.open()).rejects.toMatchObject({ code: 'LEDGER_IN_USE' })
    })
    await writeOnce('2')
    expect(verifiedEntries(store.file)).toHaveLength(2)
  })
})

describe('a writer that should not be there', () => {
  it('makes the ledger refuse instead of forking the chain', async () => {
    await withLedger(async (ledger) => {
      await ledger.append([startedEntry('1')])
      rmSync(`${store.file}-writer`)
      await writeOnce('2, by a second writer whose claim was deleted')
      await expect(ledger.append([startedEntry('2')])).rejects.toMatchObject({
        code: 'LEDGER_UNAVAILABLE',
      })
      expect(ledger.healthy()).toBe(false)
    })
    await writeOnce('3')
    expect(verifiedEntries(store.file)).toHaveLength(3)
  })
})

describe('opening a SQLite ledger', () => {
  it.each<[claim: string, prepare: () => void, code: string]>([
    [
      'a text file',
      () => {
        writeFileSync(store.file, 'not a database, and longer than the header of one '.repeat(10))
      },
      'LEDGER_NOT_A_LEDGER',
    ],
    [
      'a database of something else',
      () => {
        changeFile(store.file, 'CREATE TABLE something_else (a)')
      },
      'LEDGER_NOT_A_LEDGER',
    ],
    [
      'a folder',
      () => {
        mkdirSync(store.file)
      },
      'LEDGER_UNREADABLE',
    ],
  ])('refuses %s', async (_, prepare, code) => {
    prepare()
    await expect(store.open()).rejects.toMatchObject({ code })
  })

  it('refuses a file in a folder that is not there', async () => {
    await expect(createSqliteLedger({ file: beside('missing/l.db') })).rejects.toMatchObject({
      code: 'LEDGER_UNREADABLE',
    })
  })

  it('refuses a ledger of another version, and says which', async () => {
    await writeOnce('1')
    changeFile(store.file, 'PRAGMA user_version = 2')
    await expect(store.open()).rejects.toMatchObject({
      code: 'LEDGER_VERSION_UNKNOWN',
      message: `${store.file} is a ledger of version 2 and this program reads version 1`,
    })
  })

  it.each([
    ['its last entry was changed', "UPDATE entry SET canonical = '{}' WHERE sequence = 3"],
    ['the entry before its last was taken out', 'DELETE FROM entry WHERE sequence = 2'],
    ['its last hash was changed', 'UPDATE entry SET hash = zeroblob(32) WHERE sequence = 3'],
  ])('refuses one when %s', async (_, sql) => {
    await withLedger(async (ledger) => {
      await ledger.append(['1', '2', '3'].map(startedEntry))
    })
    changeFile(store.file, sql)
    await expect(store.open()).rejects.toMatchObject({ code: 'LEDGER_TIP_BROKEN' })
  })

  it('takes up a file that a process left without a schema', async () => {
    changeFile(store.file, 'PRAGMA journal_mode = WAL')
    await writeOnce('1')
    expect(verifiedEntries(store.file)).toHaveLength(1)
  })
})

describe('a commit that does not end', () => {
  it('is a failure after its deadline, and what it left behind is found at the next opening', async () => {
    const ledger = await createSqliteLedger({ file: store.file, commitTimeoutMs: 100 })
    const somebodyElse = new DatabaseSync(store.file)
    somebodyElse.exec('BEGIN IMMEDIATE')
    await expect(ledger.append([startedEntry('late')])).rejects.toMatchObject({
      code: 'LEDGER_UNAVAILABLE',
      cause: new Error('a commit took longer than 100 ms'),
    })
    expect(ledger.healthy()).toBe(false)
    somebodyElse.close()
    await ledger.close()

    await writeOnce('after')
    expect(verifiedEntries(store.file)).toEqual(['late', 'after'].map(startedEntry))
  })
})

describe('a process that dies', () => {
  it.each([1, 2, 3])('leaves everything that it was told is durable, kill %i', async (round) => {
    const child = startAppender(process.execPath)
    const exited = once(child, 'exit')
    while (acknowledged().length === 0) await setTimeout(5)
    await expect(store.open()).rejects.toMatchObject({ code: 'LEDGER_IN_USE' })
    await setTimeout(round * 30 + Math.random() * 30)
    child.kill('SIGKILL')
    expect(await exited).toEqual([null, 'SIGKILL'])

    expectPairsInOrder(acknowledged())
    await writeOnce('after')
    expectPairsInOrder(acknowledged())
  })
})

describe('a disk that is full', () => {
  it('refuses what does not fit, and keeps all that was answered as durable', async () => {
    // A limit on the size of files is met inside the commit, as a full disk is. In blocks of 512 or 1024 bytes.
    const child = startAppender('sh', '-c', 'ulimit -f 400; exec "$0" "$@"', process.execPath)
    await once(child, 'exit')
    expect(readFileSync(beside('refusal'), 'utf8')).toBe('LEDGER_UNAVAILABLE healthy=false\n')

    expect(acknowledged().length).toBeGreaterThan(0)
    expectPairsInOrder(acknowledged())
    await writeOnce('after')
    expect(verifiedEntries(store.file).at(-1)).toEqual(startedEntry('after'))
  })
})

/** Its outputs are files, because what a process has written to a file outlives it. */
function startAppender(program: string, ...args: readonly string[]) {
  const outputs = ['acknowledged', 'refusal'].map((name) => openSync(beside(name), 'w'))
  const child = spawn(program, [...args, appender, store.file, '50'], {
    stdio: ['ignore', ...outputs],
  })
  for (const output of outputs) closeSync(output)
  return child
}

const acknowledged = () =>
  readFileSync(beside('acknowledged'), 'utf8')
    .split('\n')
    .filter((line) => line.endsWith('b'))

/** The chain verifies, both entries of every append are adjacent, each writer's in the order it wrote. */
function expectPairsInOrder(durable: readonly string[]): void {
  const versions = verifiedEntries(store.file).map((entry) =>
    entry.kind === 'service.started' ? entry.version : entry.kind,
  )
  const stored = new Set(versions)
  expect(durable.filter((version) => !stored.has(version))).toEqual([])
  const next = new Map<string, number>()
  versions.forEach((version, index) => {
    const [writer = '', count, part] = version.split('-')
    if (part !== 'a') return
    expect(versions[index + 1]).toBe(`${writer}-${count ?? ''}-b`)
    expect(Number(count)).toBe(next.get(writer) ?? 0)
    next.set(writer, Number(count) + 1)
  })
}
