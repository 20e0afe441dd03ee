import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import {
  createFileExportCursor,
  readExportedUpTo,
} from '../../../src/custody/file-export-cursor.ts'
import { createPostgresExportCursor } from '../../../src/custody/postgres-export-cursor.ts'
import { chainHash, genesis } from '../../../src/ledger/chain.ts'
import { moveMarkOf } from '../../../src/ledger/move-mark.ts'
import { prepareLedger } from '../../../src/ledger/prepare-ledger.ts'
import { readRows } from '../../../src/ledger/read.ts'
import { startCuttableProxy, type CuttableProxy } from '../../support/cuttable-proxy.ts'
import { startedEntry } from '../../support/entries.ts'
import { changeFile, createSqliteStore, type SqliteStore } from '../../support/ledger-store.ts'
import { query, startPostgres, urlWith, type TestPostgres } from '../../support/postgres.ts'
import { sessionAt } from '../../support/postgres-session.ts'
import { ledgerAt, moveTo, openLedgerAt, verifiedEntriesAt } from '../../support/postgres-store.ts'
import { makeReadOnly } from '../../support/read-only-folder.ts'
import { required } from '../../support/required.ts'

let server: TestPostgres
let proxy: CuttableProxy
beforeAll(async () => {
  server = await startPostgres()
  proxy = await startCuttableProxy(server.port)
})
afterAll(async () => {
  await proxy.close()
  await server.stop()
})

let source: SqliteStore
let url: string
/** The same over a wire that can be cut, which is another place to whoever reads its name. */
let wiredUrl: string
const entries = ['1', '2', '3'].map(startedEntry)
beforeEach(async () => {
  source = createSqliteStore()
  url = await server.createDatabase()
  wiredUrl = urlWith(url, { port: String(proxy.port) })
  await append(entries)
})
afterEach(() => {
  source.remove()
})

async function append(more: typeof entries): Promise<void> {
  const ledger = await source.open()
  await ledger.append(more)
  await ledger.close()
}

const placeAt = (at: string) => `postgres://127.0.0.1:${new URL(at).port}${new URL(at).pathname}`
const refusedWith = (code: string, message: unknown = expect.anything()) =>
  expect(source.open()).rejects.toMatchObject({ code, message })

/** SQLite's default. */
const pageBytes = 4096

/** Whole: a transaction begins with a level that has the same word in its name. */
const commit = 'COMMIT\0'

/** So that the first commit of a move is that of the move. */
const prepare = () => prepareLedger(ledgerAt(url))

describe('a file that was moved', () => {
  test('takes no more entries, and says where they go on, and what to do', async () => {
    expect(await moveTo(url, source.file)).toMatchObject({ moved: true, when: 'now' })
    const mark = required(moveMarkOf(source.file))
    expect(mark).toMatchObject({
      state: 'done',
      to: { database: placeAt(url), schema: 'countersign' },
      tip: { sequence: 3 },
    })
    await refusedWith(
      'LEDGER_MOVED',
      `the ledger ${source.file} was moved to ${placeAt(url)} (schema countersign) on ${new Date(mark.atMs).toISOString()} and goes on there behind entry 3: name that one under "ledger" in the configuration, and keep this file as evidence`,
    )
    const bytes = readFileSync(source.file)
    expect(bytes.includes(placeAt(url))).toBe(true)
    expect(bytes.includes(new URL(url).password)).toBe(false)
  })

  test('is read as before', async () => {
    await moveTo(url, source.file)
    expect(source.entries()).toEqual(entries)
  })

  test('is one that earlier releases refuse, and not before', async () => {
    const version = () => {
      const db = new DatabaseSync(source.file, { readOnly: true })
      const found = db.prepare('PRAGMA user_version').get()?.['user_version']
      db.close()
      return found
    }
    expect(version()).toBe(3)
    await moveTo(url, source.file)
    expect(version()).toBe(5)
  })

  test('is refused as it is stored now, whatever version is the newest', async () => {
    const { hash } = required([...readRows(source.file)].at(-1))
    changeFile(
      source.file,
      `CREATE TABLE cut (one INTEGER PRIMARY KEY CHECK (one = 1), statement TEXT NOT NULL) STRICT;
       CREATE TABLE moved (
         one INTEGER PRIMARY KEY CHECK (one = 1), state TEXT NOT NULL, to_database TEXT NOT NULL,
         to_schema TEXT NOT NULL, sequence INTEGER NOT NULL, hash BLOB NOT NULL, at_ms INTEGER NOT NULL
       ) STRICT;
       INSERT INTO moved VALUES (1, 'done', 'postgres://db.contoso.example:5432/ledger',
         'countersign', 3, x'${Buffer.from(hash).toString('hex')}', 1790000000000);
       PRAGMA user_version = 5`,
    )
    await refusedWith('LEDGER_MOVED')
  })

  test('is refused also where what says so is damaged', async () => {
    await moveTo(url, source.file)
    changeFile(source.file, 'UPDATE moved SET at_ms = 9000000000000000')
    await refusedWith(
      'LEDGER_UNREADABLE',
      `${source.file} cannot be opened: what says that it was moved is damaged`,
    )
  })

  test('is found moved by another move to the same place, which copies nothing, also when that has gone on', async () => {
    await moveTo(url, source.file)
    const mark = moveMarkOf(source.file)
    const ledger = await openLedgerAt(url)
    await ledger.append([startedEntry('4')])
    await ledger.close()
    expect(await moveTo(url, source.file)).toMatchObject({
      moved: true,
      when: 'before',
      source: { sequence: 3 },
      target: { sequence: 4 },
    })
    expect(moveMarkOf(source.file)).toEqual(mark)
    expect(await verifiedEntriesAt(url)).toHaveLength(4)
  })

  test('is not moved to another place', async () => {
    await moveTo(url, source.file)
    const another = await server.createDatabase()
    expect(await moveTo(another, source.file)).toMatchObject({
      moved: false,
      why: 'source-moved',
      mark: { to: { database: placeAt(url) } },
    })
    expect(await verifiedEntriesAt(another)).toEqual([])
  })

  test('is not moved again to a place that has lost it', async () => {
    await moveTo(url, source.file)
    await query(url, 'DROP SCHEMA countersign CASCADE')
    expect(await moveTo(url, source.file)).toMatchObject({ moved: false, why: 'source-moved' })
    await refusedWith('LEDGER_MOVED')
  })

  test('takes entries again when its mark is removed, as the guide says', async () => {
    await moveTo(url, source.file)
    const [, statement] =
      /"(DELETE FROM moved)"/.exec(readFileSync('docs/operations.md', 'utf8')) ?? []
    changeFile(source.file, required(statement))
    await append([startedEntry('4')])
    expect(source.entries()).toHaveLength(4)
    // And is moved anew, to where it is not.
    expect(await moveTo(await server.createDatabase(), source.file)).toMatchObject({
      moved: true,
      when: 'now',
      target: { sequence: 4 },
    })
  })
})

describe('a move that is refused leaves the file as it was', () => {
  test('because the database has other entries', async () => {
    const ledger = await openLedgerAt(url)
    await ledger.append(['another', '2', '3', '4'].map(startedEntry))
    await ledger.close()
    expect(await moveTo(url, source.file)).toMatchObject({
      moved: false,
      why: 'target-not-empty',
      tip: { sequence: 4 },
    })
    await append([startedEntry('4')])
  })

  test('because the database has the beginning alone', async () => {
    const ledger = await openLedgerAt(url)
    await ledger.append(entries)
    await ledger.close()
    await append([startedEntry('4')])
    expect(await moveTo(url, source.file)).toMatchObject({
      moved: false,
      why: 'target-not-empty',
      tip: { sequence: 3 },
    })
    expect(moveMarkOf(source.file)).toBeUndefined()
  })

  test('because it has no entries', async () => {
    const empty = createSqliteStore()
    await (await empty.open()).close()
    await expect(moveTo(url, empty.file)).rejects.toMatchObject({
      code: 'LEDGER_MISSING',
      message: `the ledger ${empty.file} has no entries`,
    })
    await (await empty.open()).close()
    empty.remove()
  })

  test('because the database cannot be reached', async () => {
    await expect(moveTo(urlWith(url, { port: '1' }), source.file)).rejects.toMatchObject({
      code: 'LEDGER_UNREACHABLE',
    })
    await append([startedEntry('4')])
  })

  test.each<[claim: string, damage: () => void, message: RegExp]>([
    [
      'a page of it is damaged',
      () => {
        const bytes = readFileSync(source.file)
        // The last one is looked at before anything is moved.
        bytes.fill(0xff, bytes.length - 2 * pageBytes, bytes.length - pageBytes)
        writeFileSync(source.file, bytes)
      },
      /malformed/,
    ],
    [
      'what is revoked in it cannot be read',
      () => {
        changeFile(source.file, "INSERT INTO revocation (id, epoch, made) VALUES ('r', 1, '{')")
      },
      /the table of revocations holds what is none/,
    ],
    [
      'bytes of an entry are no text',
      () => {
        const tip = required([...readRows(source.file)].at(-1))
        const bytes = Buffer.from('7bff7d', 'hex')
        const hash = Buffer.from(chainHash(tip.hash, bytes)).toString('hex')
        changeFile(
          source.file,
          `INSERT INTO entry (sequence, hash, canonical)
           VALUES (${tip.sequence + 1}, x'${hash}', CAST(x'7bff7d' AS TEXT))`,
        )
      },
      /^an entry of .* up to 204 is not UTF-8$/,
    ],
  ])('because %s, which is not said of the database', async (_, damage, message) => {
    await append(Array.from({ length: 200 }, (_none, index) => startedEntry(`more ${index}`)))
    damage()
    await expect(moveTo(url, source.file)).rejects.toMatchObject({
      name: 'LedgerFileError',
      code: 'LEDGER_UNREADABLE',
      message: expect.stringMatching(message) as unknown,
    })
    expect(await verifiedEntriesAt(url)).toEqual([])
    expect(moveMarkOf(source.file)).toBeUndefined()
  })

  test('because it cannot be marked, and the database holds nothing', async () => {
    await moveTo(await server.createDatabase(), source.file)
    changeFile(
      source.file,
      `DELETE FROM moved;
       CREATE TRIGGER full BEFORE INSERT ON moved BEGIN SELECT RAISE(FAIL, 'disk is full'); END`,
    )
    await expect(moveTo(url, source.file)).rejects.toMatchObject({
      code: 'LEDGER_UNREADABLE',
      message: `${source.file} cannot be marked as moved (disk is full): see to that, and run this again`,
    })
    expect(await verifiedEntriesAt(url)).toEqual([])
    await append([startedEntry('4')])
  })

  test('because it is where nothing can be written, and the database holds nothing', async (context) => {
    await prepare()
    const undo = makeReadOnly(dirname(source.file))
    context.skip(undo === undefined, 'nobody may mount anything here')
    try {
      await expect(moveTo(url, source.file)).rejects.toMatchObject({ code: 'LEDGER_UNREADABLE' })
      expect(source.entries()).toEqual(entries)
    } finally {
      undo?.()
    }
    expect(await verifiedEntriesAt(url)).toEqual([])
    await append([startedEntry('4')])
  })
})

describe('a move whose commit nobody knows of', () => {
  const expectUnknown = async () => {
    expect(await moveTo(wiredUrl, source.file)).toMatchObject({
      moved: 'unknown',
      cause: { code: 'LEDGER_UNREACHABLE' },
    })
    await refusedWith(
      'LEDGER_MOVE_UNFINISHED',
      expect.stringMatching(
        /^a move of the ledger .* to postgres:.* whether it goes on there is not known: run "countersign ledger migrate" from this file to there again, which finishes it$/,
      ),
    )
    expect(source.entries()).toEqual(entries)
  }

  test('is finished by the next one, which copies nothing twice', async () => {
    await prepare()
    proxy.at(commit, 'cut-after')
    await expectUnknown()
    expect(await moveTo(wiredUrl, source.file)).toMatchObject({ moved: true, when: 'before' })
    await refusedWith('LEDGER_MOVED')
    expect(await verifiedEntriesAt(url)).toEqual(entries)
  })

  test('is finished also under another name of the same database, where services went on', async () => {
    await prepare()
    proxy.at(commit, 'cut-after')
    await expectUnknown()
    const ledger = await openLedgerAt(url)
    await ledger.append([startedEntry('4')])
    await ledger.close()
    expect(await moveTo(url, source.file)).toMatchObject({ moved: true, when: 'before' })
    expect(moveMarkOf(source.file)).toMatchObject({ state: 'done', to: { database: placeAt(url) } })
    expect(await verifiedEntriesAt(url)).toHaveLength(4)
  })

  test('is begun anew when nothing arrived', async () => {
    await prepare()
    proxy.at(commit, 'cut-before')
    await expectUnknown()
    expect(await verifiedEntriesAt(url)).toEqual([])
    expect(await moveTo(wiredUrl, source.file)).toMatchObject({ moved: true, when: 'now' })
    await refusedWith('LEDGER_MOVED')
    expect(await verifiedEntriesAt(url)).toEqual(entries)
  })

  test('says so when a service was started there before, and goes there when that is gone', async () => {
    await prepare()
    proxy.at(commit, 'cut-before')
    await expectUnknown()
    const ledger = await openLedgerAt(url)
    await ledger.append([startedEntry('of its own')])
    await ledger.close()
    expect(await moveTo(wiredUrl, source.file)).toMatchObject({
      moved: false,
      why: 'target-began-anew',
      tip: { sequence: 1 },
      mark: { state: 'begun', to: { database: placeAt(wiredUrl) } },
    })
    // To nobody's knowledge the same place.
    expect(await moveTo(url, source.file)).toMatchObject({ why: 'target-not-empty' })
    await query(url, 'DROP SCHEMA countersign CASCADE')
    expect(await moveTo(wiredUrl, source.file)).toMatchObject({ moved: true, when: 'now' })
    expect(await verifiedEntriesAt(url)).toEqual(entries)
  })

  test('is one after which the database ends with another entry', async () => {
    await prepare()
    await query(
      url,
      `CREATE FUNCTION countersign.back() RETURNS trigger LANGUAGE plpgsql AS
         'BEGIN
            DELETE FROM countersign.entry WHERE sequence = 3;
            UPDATE countersign.tip
            SET (sequence, hash) = (SELECT sequence, hash FROM countersign.entry WHERE sequence = 2);
            RETURN NULL;
          END';
       CREATE CONSTRAINT TRIGGER back AFTER INSERT ON countersign.entry
         DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION countersign.back()`,
    )
    expect(await moveTo(url, source.file)).toMatchObject({
      moved: 'unknown',
      cause: { code: 'LEDGER_REWOUND' },
    })
    await refusedWith('LEDGER_MOVE_UNFINISHED')
  })

  test('goes nowhere else meanwhile', async () => {
    await prepare()
    proxy.at(commit, 'cut-after')
    await expectUnknown()
    const another = await server.createDatabase()
    expect(await moveTo(another, source.file)).toMatchObject({
      moved: false,
      why: 'source-moved',
      mark: { state: 'begun', to: { database: placeAt(wiredUrl) } },
    })
    expect(await verifiedEntriesAt(another)).toEqual([])
  })

  test('because the program was killed is finished by the next one', async () => {
    await prepare()
    proxy.at(commit, 'hang')
    const program = spawn(
      process.execPath,
      [
        ...['src/cli/countersign.ts', 'ledger', 'migrate'],
        ...['--from', source.file, '--to', wiredUrl],
      ],
      { stdio: 'ignore' },
    )
    const over = once(program, 'exit')
    await expect.poll(() => moveMarkOf(source.file)?.state).toBe('begun')
    program.kill('SIGKILL')
    await over
    proxy.cut()
    await refusedWith('LEDGER_MOVE_UNFINISHED')
    expect(await moveTo(wiredUrl, source.file)).toMatchObject({ moved: true, when: 'now' })
    expect(await verifiedEntriesAt(url)).toEqual(entries)
  })

  test('because the file could not be marked again is finished when it can', async () => {
    await moveTo(await server.createDatabase(), source.file)
    changeFile(
      source.file,
      `DELETE FROM moved;
       CREATE TRIGGER full BEFORE INSERT ON moved WHEN NEW.state = 'done'
       BEGIN SELECT RAISE(FAIL, 'disk is full'); END`,
    )
    await expect(moveTo(url, source.file)).rejects.toMatchObject({ code: 'LEDGER_UNREADABLE' })
    await refusedWith('LEDGER_MOVE_UNFINISHED')
    changeFile(source.file, 'DROP TRIGGER full')
    expect(await moveTo(url, source.file)).toMatchObject({ moved: true, when: 'before' })
    await refusedWith('LEDGER_MOVED')
  })

  test('because a standby that has to have it does not', async () => {
    await prepare()
    await server.configure({ synchronous_standby_names: 'nobody' })
    try {
      const moving = moveTo(url, source.file)
      const cancelled = async () => {
        const rows = await query(
          url,
          "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'",
        )
        return rows.length
      }
      await expect.poll(cancelled).toBe(1)
      expect(await moving).toMatchObject({ moved: 'unknown', cause: { code: 'LEDGER_REFUSED' } })
    } finally {
      await server.configure({ synchronous_standby_names: '' })
    }
    await refusedWith('LEDGER_MOVE_UNFINISHED')
    expect(await moveTo(url, source.file)).toMatchObject({ moved: true, when: 'before' })
  })
})

describe('how far entries were exported', () => {
  const cursorFile = () => `${source.file}-exported`
  const readIt = () => readExportedUpTo(cursorFile())
  const takenBy = async (destination: string) => {
    const session = sessionAt(url)
    const taken = await createPostgresExportCursor(session, destination).take()
    await session.close()
    return taken
  }

  test('goes along, and the next one to send goes on there', async () => {
    const { sequence, hash } = required([...readRows(source.file)][1])
    await createFileExportCursor(cursorFile(), 'https://here').advance({ sequence, hash })
    await moveTo(url, source.file, readIt)
    expect(await takenBy('https://here')).toEqual({ sequence: 2, hash: Buffer.from(hash) })
    expect(await takenBy('https://elsewhere')).toEqual({
      ...genesis,
      hash: Buffer.from(genesis.hash),
    })
  })

  test('is the beginning where nothing was', async () => {
    await moveTo(url, source.file, readIt)
    expect(await query(url, 'SELECT * FROM countersign.export_cursor')).toEqual([])
  })
})
