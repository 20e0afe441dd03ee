import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
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
import { reopenDelayMs } from '../../../src/ledger/group-commit.ts'
import type { Ledger } from '../../../src/ledger/ledger.ts'
import { createSqliteLedger } from '../../../src/ledger/sqlite-ledger.ts'
import { healthyAgain } from '../../contract/ledger.contract.ts'
import { revokedEntry, startedEntry, tokenIssuedEntry } from '../../support/entries.ts'
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

const openAtOnce = () => createSqliteLedger({ file: store.file, lockWaitMs: 0 })

describe('a disk that is nearly full', () => {
  const issued = (token: string) => tokenIssuedEntry('orders', token)

  it('has no room for what is asked, and some for everything else', async () => {
    let freeBytes = 99
    const ledger = await createSqliteLedger({
      file: store.file,
      keptBytes: 100,
      freeBytes: () => Promise.resolve(freeBytes),
    })
    try {
      await expect(ledger.append([issued('1')])).rejects.toMatchObject({ code: 'LEDGER_FULL' })
      await expect(ledger.append([startedEntry('1'), issued('1')])).rejects.toMatchObject({
        code: 'LEDGER_FULL',
      })
      await ledger.append([startedEntry('1')])
      await ledger.append([revokedEntry('orders', 1)], { decidedUnder: 0 })
      await ledger.append([])
      expect([ledger.healthy(), ledger.isFull()]).toEqual([true, true])

      freeBytes = 100
      await expect.poll(() => ledger.isFull()).toBe(false)
      await ledger.append([issued('2')])
    } finally {
      await ledger.close()
    }
    expect(store.entries()).toEqual([startedEntry('1'), revokedEntry('orders', 1), issued('2')])
  })

  it('is not one that cannot be looked at: the next commit says what is wrong', async () => {
    const ledger = await createSqliteLedger({
      file: store.file,
      freeBytes: () => Promise.reject(new Error('gone')),
    })
    await ledger.append([issued('1')])
    await ledger.close()
    expect(store.entries()).toEqual([issued('1')])
  })
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
        await expect(createSqliteLedger({ file, lockWaitMs: 0 })).rejects.toMatchObject({
          name: 'LedgerFileError',
          code: 'LEDGER_IN_USE',
          message: `another process is writing the ledger ${file}`,
        })
      }
      // Neither the refusals nor the readers took the lock away.
      await ledger.append([startedEntry('1')])
      expect(verifiedEntries(store.file)).toHaveLength(1)
      await expect(openAtOnce()).rejects.toMatchObject({ code: 'LEDGER_IN_USE' })
    })
    await writeOnce('2')
    expect(verifiedEntries(store.file)).toHaveLength(2)
  })

  it('waits for a writer that just closes, and takes over from it', async () => {
    const before = await store.open()
    await before.append([startedEntry('before')])
    const opening = createSqliteLedger({ file: store.file, lockWaitMs: 10_000 })
    await setTimeout(300)
    await before.append([startedEntry('last')])
    await before.close()
    const after = await opening
    await after.append([startedEntry('after')])
    await after.close()
    expect(verifiedEntries(store.file)).toEqual(['before', 'last', 'after'].map(startedEntry))
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
      await healthyAgain(ledger)
      await ledger.append([startedEntry('3')])
    })
    expect(verifiedEntries(store.file)).toHaveLength(3)
  })
})

describe('opening a SQLite ledger', () => {
  it('refuses one of whose revocations nobody can tell what it stops', async () => {
    await (await store.open()).close()
    changeFile(store.file, "INSERT INTO revocation (id, epoch, made) VALUES ('r', 1, '{}')")
    await expect(store.open()).rejects.toMatchObject({
      code: 'LEDGER_UNREADABLE',
      message: `${store.file} cannot be opened: the table of revocations holds what is none`,
    })
  })

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

  it.each([
    [
      'before revocations',
      'DROP TABLE token_use; DROP TABLE revocation; DROP TABLE revocation_epoch; PRAGMA user_version = 1',
    ],
    ['before uses of tokens', 'DROP TABLE token_use; PRAGMA user_version = 2'],
  ])('extends one of the release %s, which can be read as it is', async (_, sql) => {
    await writeOnce('1')
    changeFile(store.file, sql)
    expect(verifiedEntries(store.file)).toEqual([startedEntry('1')])
    const ledger = await store.open()
    await ledger.append([revokedEntry('1', 1)], { decidedUnder: 0 })
    const tokenUse = { tokenId: 'a', purpose: 'deploy', usesMax: 1, expiresAtSeconds: 4e9 }
    await ledger.append([startedEntry('2')], { decidedUnder: 1, tokenUse })
    await ledger.close()
    expect(verifiedEntries(store.file)).toHaveLength(3)
    const again = await store.open()
    expect(again.tokensRemembered()).toBe(1)
    await again.close()
  })

  it('refuses a ledger of another version, and says which', async () => {
    await writeOnce('1')
    changeFile(store.file, 'PRAGMA user_version = 6')
    await expect(store.open()).rejects.toMatchObject({
      code: 'LEDGER_VERSION_UNKNOWN',
      message: `${store.file} is a ledger of version 6 and this program reads version 5`,
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

describe('another program that has the file locked', () => {
  const lock = () => {
    const somebodyElse = new DatabaseSync(store.file)
    somebodyElse.exec('BEGIN IMMEDIATE')
    return somebodyElse
  }

  it('is waited for: nobody is told of a failure', async () => {
    await withLedger(async (ledger) => {
      const somebodyElse = lock()
      const append = ledger.append([startedEntry('1')])
      // More than the wait for opening, less than a commit may take.
      await setTimeout(2500)
      expect(ledger.healthy()).toBe(true)
      somebodyElse.close()
      await append
      expect(verifiedEntries(store.file)).toEqual([startedEntry('1')])
    })
  })

  it('is waited for no longer than a commit may take; then nothing was written, and all goes on without a restart', async () => {
    const ledger = await createSqliteLedger({ file: store.file, commitTimeoutMs: 3000 })
    const somebodyElse = lock()
    await expect(ledger.append([startedEntry('refused')])).rejects.toMatchObject({
      code: 'LEDGER_UNAVAILABLE',
      cause: expect.objectContaining({ message: 'database is locked' }) as unknown,
    })
    expect(ledger.healthy()).toBe(false)
    somebodyElse.close()

    await healthyAgain(ledger)
    await ledger.append([startedEntry('after')])
    await ledger.close()
    expect(verifiedEntries(store.file)).toEqual([startedEntry('after')])
  })
})

describe('a commit that does not end', () => {
  /** The commit takes seconds inside of SQLite, where nothing can interrupt it. */
  const slowDown = () => {
    changeFile(
      store.file,
      `CREATE TRIGGER slow BEFORE INSERT ON entry BEGIN
         SELECT max(n) FROM (WITH RECURSIVE c(n) AS
           (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 12000000) SELECT n FROM c);
       END`,
    )
  }

  it('is a failure after its deadline, and the ledger goes on behind whatever it left', async () => {
    const ledger = await createSqliteLedger({ file: store.file, commitTimeoutMs: 600 })
    slowDown()
    await expect(ledger.append([startedEntry('late')])).rejects.toMatchObject({
      code: 'LEDGER_UNAVAILABLE',
      cause: new Error('a commit took longer than 600 ms'),
    })
    expect(ledger.healthy()).toBe(false)
    changeFile(store.file, 'DROP TRIGGER slow')

    // A machine that is busy may take that long for any commit.
    const isTaken = () =>
      ledger.append([startedEntry('after')]).then(
        () => true,
        () => false,
      )
    await expect.poll(isTaken).toBe(true)
    await ledger.close()
    expect(verifiedEntries(store.file).at(-1)).toEqual(startedEntry('after'))
  })

  it('does not hold up closing until it ends', async () => {
    const ledger = await createSqliteLedger({ file: store.file, commitTimeoutMs: 100 })
    slowDown()
    const append = ledger.append([startedEntry('late')])
    await Promise.all([ledger.close(), expect(append).rejects.toThrow('LEDGER_UNAVAILABLE')])
    const claim = new DatabaseSync(`${store.file}-writer`, { timeout: 0 })
    expect(() => {
      claim.exec('BEGIN EXCLUSIVE')
    }).toThrow('database is locked')
    claim.close()
    // The thread lets go of the file when SQLite lets go of the thread.
    await (await createSqliteLedger({ file: store.file, lockWaitMs: 30_000 })).close()
    expect(verifiedEntries(store.file).length).toBeLessThanOrEqual(1)
  })
})

/** From when it has tried to open its file again, which may be later on a busy machine. */
async function expectRefusedFor(code: string, ledger: Ledger): Promise<void> {
  const refusal = () => ledger.append([startedEntry('3')]).catch((error: unknown) => error)
  const cause = expect.objectContaining({ code }) as unknown
  await expect.poll(refusal, { interval: 100 }).toMatchObject({ code: 'LEDGER_UNAVAILABLE', cause })
  expect(ledger.healthy()).toBe(false)
}

describe('a ledger that failed', () => {
  it('stays refused while its tip does not verify, and says so to whoever asks', async () => {
    const ledger = await store.open()
    await ledger.append(['1', '2'].map(startedEntry))
    store.breakWrites()
    await expect(ledger.append([startedEntry('3')])).rejects.toThrow('LEDGER_UNAVAILABLE')
    changeFile(
      store.file,
      "DROP TRIGGER full; UPDATE entry SET canonical = '{}' WHERE sequence = 2",
    )
    await expectRefusedFor('LEDGER_TIP_BROKEN', ledger)
    await ledger.close()
  })

  it.each([
    ['removed', () => undefined],
    [
      'replaced by another',
      () => {
        renameSync(beside('other.db'), store.file)
      },
    ],
  ])('refuses when its file was %s, instead of writing where nobody reads', async (_how, put) => {
    const other = await createSqliteLedger({ file: beside('other.db') })
    await other.append([startedEntry('of another ledger')])
    await other.close()
    const ledger = await store.open()
    await ledger.append([startedEntry('1')])
    for (const suffix of ['', '-wal', '-shm']) rmSync(store.file + suffix, { force: true })
    put()

    await expect(ledger.append([startedEntry('2')])).rejects.toThrow('LEDGER_UNAVAILABLE')
    await expectRefusedFor('LEDGER_MISSING', ledger)
    await ledger.close()
  })

  it('leaves the file alone for a second, then for longer, and never for more than three', () => {
    expect([1, 2, 3, 4, 2000].map(reopenDelayMs)).toEqual([1000, 2000, 3000, 3000, 3000])
  })
})

describe('a process that dies', () => {
  it.each([1, 2, 3])('leaves everything that it was told is durable, kill %i', async (round) => {
    const child = startAppender(process.execPath)
    const exited = once(child, 'exit')
    while (acknowledged().length === 0) await setTimeout(5)
    await expect(openAtOnce()).rejects.toMatchObject({ code: 'LEDGER_IN_USE' })
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
