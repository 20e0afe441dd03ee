import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Link, Row } from '../../../src/ledger/chain.ts'
import type { Cut } from '../../../src/ledger/cut.ts'
import { moveMarkOf, putMoveMark } from '../../../src/ledger/move-mark.ts'
import type { MoveMark } from '../../../src/ledger/move-mark.ts'
import { prepareLedger } from '../../../src/ledger/prepare-ledger.ts'
import { pruneLedgerFile } from '../../../src/ledger/prune-file.ts'
import { prunePostgresLedger } from '../../../src/ledger/prune-postgres.ts'
import { readRows } from '../../../src/ledger/read.ts'
import { readPages } from '../../../src/ledger/postgres-reader.ts'
import { startCuttableProxy } from '../../support/cuttable-proxy.ts'
import { startedEntry } from '../../support/entries.ts'
import { changeFile, createSqliteStore, type SqliteStore } from '../../support/ledger-store.ts'
import { query, startPostgres, urlWith, type TestPostgres } from '../../support/postgres.ts'
import {
  ledgerAt,
  moveTo,
  openLedger,
  openLedgerAt,
  verifiedEntriesAt,
} from '../../support/postgres-store.ts'
import { required } from '../../support/required.ts'
import {
  begun,
  lastRecordLine,
  loaded,
  made,
  proved,
  recordLine,
} from '../../support/signed-traffic.ts'

const program = fileURLToPath(new URL('../../../bin/countersign.js', import.meta.url))

const smallest = new URL(
  '../../fixtures/configuration/valid/smallest/countersign.yaml',
  import.meta.url,
)

async function countersign(...args: readonly string[]) {
  const child = spawn(process.execPath, [program, ...args], { cwd: folder })
  const exited = new Promise((resolve) => child.once('exit', resolve))
  const [out, error, code] = await Promise.all([text(child.stdout), text(child.stderr), exited])
  return { out, error, code }
}

let folder: string
let server: TestPostgres
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'countersign-cli-ledger-'))
  server = await startPostgres()
})
afterAll(async () => {
  await server.stop()
  rmSync(folder, { recursive: true })
})

let source: SqliteStore
let url: string
beforeEach(async () => {
  source = createSqliteStore()
  url = await server.createDatabase()
})
afterEach(() => {
  source.remove()
})

/** More than one page, with characters that a careless copy would change. */
const entries = Array.from({ length: 1500 }, (_, index) => startedEntry(`${index} “ü\\n\u0001”\\`))

async function fill(): Promise<void> {
  const ledger = await source.open()
  await ledger.append(entries)
  await ledger.close()
}

/** A file that holds the URL, as a mounted secret does. */
function urlFile(): string {
  const file = join(folder, 'ledger-url')
  writeFileSync(file, `${url}\n`)
  return file
}

/** A configuration whose ledger is in a schema of that database. */
function configFile(schema: string): string {
  const file = join(folder, 'configured.yaml')
  const ledger = `postgres: { url: "${url}", schema: ${schema} }`
  writeFileSync(file, readFileSync(smallest, 'utf8').replace('sqlite: ./countersign.db', ledger))
  return file
}

/** As the file has them: what stands for the pruned ones is none. */
const readEntries = (file: string) => [...readRows(file)].filter(({ isCut }) => !isCut).length

const migrate = (to = url) => countersign('ledger', 'migrate', '--from', source.file, '--to', to)

/** As messages name it. */
const nameAt = (at: string) => `postgres://127.0.0.1:${server.port}${new URL(at).pathname}`

/** What the URL would give away. */
const passwordIn = (at: string) => new URL(at).password

describe('countersign ledger migrate', () => {
  it('moves every entry with its hash, and says the tip on both sides', async () => {
    await fill()
    const { out, error, code } = await migrate(urlFile())
    expect({ error, code }).toEqual({ error: '', code: 0 })
    const rows = [...readRows(source.file)]
    const tip = Buffer.from(rows.at(-1)?.hash ?? []).toString('hex')
    expect(out).toBe(
      `source  ${source.file}: 1500 entries, tip ${tip}\n` +
        `target  ${nameAt(url)}: 1500 entries, tip ${tip}\n` +
        `Exported: nothing, as no ${source.file}-exported says otherwise: whoever exports entries begins with the first.\n` +
        `${source.file} takes no more entries, and can be read. Keep it: it is evidence.\n`,
    )
    const moved = []
    for await (const page of readPages(ledgerAt(url))) moved.push(...page)
    const plain = ({ sequence, hash, canonical }: (typeof rows)[number]) => [
      sequence,
      Buffer.from(hash).toString('hex'),
      Buffer.from(canonical).toString(),
    ]
    expect(moved.map(plain)).toEqual(rows.map(plain))

    // And the service goes on from there.
    const ledger = await openLedgerAt(url)
    await ledger.append([startedEntry('after')])
    await ledger.close()
    expect(await verifiedEntriesAt(url)).toEqual([...entries, startedEntry('after')])
    expect(source.entries()).toEqual(entries)
  })

  it('counts what is there, on either side, where entries were pruned', async () => {
    await fill()
    const base64url = (row: Row | undefined) =>
      Buffer.from(required(row).hash).toString('base64url')
    const before = [...readRows(source.file)]
    const cutAt = (sequence: number, from: number): Cut => ({
      kind: 'ledger.cut',
      atMs: 1_790_000_000_000,
      ledger: base64url(before[0]),
      from,
      sequence,
      hash: base64url(before[sequence - 1]),
      head: 'a.b.c',
      heldBy: 'witness',
      by: 'operator',
      headKeys: [],
      certificates: [],
    })
    pruneLedgerFile(source.file, cutAt(1000, 1))
    const tip = Buffer.from([...readRows(source.file)].at(-1)?.hash ?? []).toString('hex')
    const inFile = `source  ${source.file}: 501 entries, from 1001 to 1501, tip ${tip}\n`
    const now = await migrate()
    expect(now.out).toContain(
      `${inFile}target  ${nameAt(url)}: 501 entries, from 1001 to 1501, tip ${tip}\n`,
    )
    await prunePostgresLedger(ledgerAt(url), cutAt(1200, 1001))
    const again = await migrate()
    expect(again.out).toContain(
      `${inFile}target  ${nameAt(url)}: 302 entries, from 1201 to 1502, tip `,
    )
    const [there] = await query(url, 'SELECT count(*)::integer AS entries FROM countersign.entry')
    expect([readEntries(source.file), there?.['entries']]).toEqual([501, 302])
  })

  it('refuses a target that has entries, and leaves them alone', async () => {
    await fill()
    const ledger = await openLedgerAt(url)
    await ledger.append([startedEntry('already there')])
    await ledger.close()
    const { out, error, code } = await migrate()
    expect({ out, code }).toEqual({ out: '', code: 1 })
    expect(error).toMatch(
      /^ledger migrate: nothing was moved: .* does not hold the last entry of .*, goes up to entry 1, and must be empty\n$/,
    )
    expect(error).not.toContain(passwordIn(url))
    expect(await verifiedEntriesAt(url)).toEqual([startedEntry('already there')])
  })

  it('says what to do when a service was started there before the move was finished', async () => {
    await fill()
    const tip = required([...readRows(source.file)].at(-1))
    const db = new DatabaseSync(source.file)
    const to = { database: nameAt(url), schema: 'countersign' }
    putMoveMark(db, { state: 'begun', to, tip, atMs: 1_790_000_000_000 })
    db.close()
    const ledger = await openLedgerAt(url)
    await ledger.append([startedEntry('of its own')])
    await ledger.close()
    expect(await migrate()).toEqual({
      out: '',
      error: `ledger migrate: nothing was moved: ${nameAt(url)} has a history of its own, up to entry 1, without the last entry of ${source.file}: a service was started there before the move that began on 2026-09-21T14:13:20.000Z was finished. Stop the services, keep a copy of it as evidence, drop its schema countersign, and run this again\n`,
      code: 1,
    })
  })

  it.each([
    [
      'an entry was changed',
      "UPDATE entry SET canonical = '{}' WHERE sequence = 1200",
      'is broken at entry 1200 (intact up to entry 1199)',
    ],
    [
      'an entry is missing',
      'DELETE FROM entry WHERE sequence = 1200',
      'is broken at entry 1201, where 1200 should be (intact up to entry 1199)',
    ],
    [
      'its last entry was changed',
      "UPDATE entry SET canonical = '{}' WHERE sequence = 1500",
      'does not verify',
    ],
  ])('refuses a source in which %s, and moves nothing', async (_, sql, said) => {
    await fill()
    changeFile(source.file, sql)
    const { error, code } = await migrate()
    expect(code).toBe(1)
    expect(error).toContain(said)
    const [schema] = await query(url, "SELECT FROM pg_namespace WHERE nspname = 'countersign'")
    expect(schema === undefined ? [] : await verifiedEntriesAt(url)).toEqual([])
  })

  it('finds a ledger that was moved before, copies nothing, and says so', async () => {
    await fill()
    await moveTo(url, source.file)
    const { out, error, code } = await migrate()
    expect({ error, code }).toEqual({ error: '', code: 0 })
    expect(out).toMatch(
      /^source .*\ntarget .*\nNothing was copied: the target holds the source\.\n.* takes no more entries, and can be read\. .*\n$/,
    )
    expect(await verifiedEntriesAt(url)).toHaveLength(1500)
  })

  it('refuses to move it to another place as well, and says where it is', async () => {
    await fill()
    await moveTo(url, source.file)
    const another = await server.createDatabase()
    const { out, error, code } = await migrate(another)
    expect({ out, code }).toEqual({ out: '', code: 1 })
    expect(error).toMatch(
      /^ledger migrate: nothing was moved: .* is empty, and the ledger .* was moved to .* and goes on there behind entry 1500: name that one .*\n$/,
    )
    expect(error).toContain(`was moved to ${nameAt(url)} (schema countersign)`)
    expect(error).not.toContain(passwordIn(url))
  })

  it('says that nobody knows whether it was moved, and what to do', async () => {
    await fill()
    await prepareLedger(ledgerAt(url))
    const proxy = await startCuttableProxy(server.port)
    // A transaction begins with a level that has the same word in its name.
    proxy.at('COMMIT\0', 'cut-after')
    const { out, error, code } = await migrate(urlWith(url, { port: String(proxy.port) }))
    await proxy.close()
    expect({ out, code }).toEqual({ out: '', code: 1 })
    expect(error).toMatch(
      /^ledger migrate: whether postgres:.* holds the ledger now is not known \(.*\): run this again, which finishes it\. Until then .* takes no entries\n$/,
    )
    expect(error).not.toContain(passwordIn(url))
    expect(moveMarkOf(source.file)).toMatchObject({ state: 'begun' })
  })

  it.each([
    ['the file', () => source.file],
    [
      'a link to it',
      () => {
        const link = join(folder, `linked-${randomUUID()}.db`)
        symlinkSync(source.file, link)
        return link
      },
    ],
  ])(
    'takes along how far entries were exported, and says so, when %s is named',
    async (_, from) => {
      await fill()
      const hash = 'ab'.repeat(32)
      const kept = { destination: 'https://here', sequence: 1200, hash }
      writeFileSync(`${source.file}-exported`, JSON.stringify(kept))
      const args = ['ledger', 'migrate', '--from', from(), '--to', url]
      const { out, error, code } = await countersign(...args)
      expect({ error, code }).toEqual({ error: '', code: 0 })
      expect(out).toContain(
        '\nExported: up to entry 1200, and whoever exports entries goes on behind it.\n',
      )
      expect(
        await query(
          url,
          "SELECT destination, sequence::integer, encode(hash, 'hex') AS hash FROM countersign.export_cursor",
        ),
      ).toEqual([kept])
    },
  )

  it('moves nothing when that cannot be read', async () => {
    await fill()
    mkdirSync(`${source.file}-exported`)
    const { error, code } = await migrate()
    expect({ error, code }).toEqual({
      error: `ledger migrate: nothing was moved: ${source.file}-exported, which says how far entries were exported, cannot be read\n`,
      code: 1,
    })
    await (await source.open()).close()
  })

  it('refuses a source that a service writes', async () => {
    const ledger = await source.open()
    const { error, code } = await migrate()
    await ledger.close()
    expect({ error, code }).toEqual({
      error: `ledger migrate: another process is writing the ledger ${source.file}\n`,
      code: 1,
    })
  })

  it('refuses a source that is not there, and makes none', async () => {
    const { error, code } = await migrate()
    expect({ error, code }).toEqual({
      error: `ledger migrate: there is no file ${source.file}\n`,
      code: 1,
    })
  })

  it.each([
    ['a URL that is none', () => url.replace('postgres:', 'postgress:')],
    [
      'a URL that turns TLS off',
      () => urlWith(url, { hostname: 'db.example', search: 'sslmode=disable' }),
    ],
    ['a database that is not there', () => `${url}0`],
  ])('refuses %s, without its password', async (_, to) => {
    await fill()
    const { error, code } = await migrate(to())
    expect(code).toBe(1)
    expect(error).toMatch(/^ledger migrate: /)
    expect(error).not.toContain(passwordIn(url))
  })
})

describe('countersign ledger prepare', () => {
  it('makes the tables in the schema that is named, and leaves them alone the next time', async () => {
    for (let run = 0; run < 2; run += 1) {
      const { out, error, code } = await countersign(
        ...['ledger', 'prepare', '--to', urlFile(), '--schema', 'partner_ledger'],
      )
      expect({ error, code }).toEqual({ error: '', code: 0 })
      expect(out).toMatch(/is prepared: its tables are of version \d+\.\n$/)
    }
    expect(await query(url, 'SELECT sequence FROM partner_ledger.tip')).toEqual([{ sequence: '0' }])
  })

  it('refuses a schema that would need quotation marks', async () => {
    const { error, code } = await countersign(
      ...['ledger', 'prepare', '--to', url, '--schema', 'x; DROP TABLE entry'],
    )
    expect(code).toBe(1)
    expect(error).toMatch(/^ledger prepare: --schema must be /)
  })
})

describe('countersign ledger verify', () => {
  const verify = (...options: readonly string[]) => countersign('ledger', 'verify', ...options)
  const tipOf = (file: string) => {
    const { sequence, hash } = required([...readRows(file)].at(-1))
    return `${sequence} ${Buffer.from(hash).toString('hex')}`
  }

  it('says where a sound ledger ends, and what that proves', async () => {
    await fill()
    const { out, error, code } = await verify('--ledger', source.file)
    expect({ error, code }).toEqual({ error: '', code: 0 })
    expect(out).toBe(
      'SOUND: every entry follows the one before it, and every head and proof that is there fits.\n' +
        `  ledger   ${source.file}\n  entries  1500\n  tip      ${tipOf(source.file)}\n` +
        "  heads    none that verifies\n  proofs   0 signatures rebuilt and verified with the ledger's own record of the certificates; 0 made and not proved\n" +
        '  unsealed: 1500\n' +
        'Self-consistent, not proven unrewritten: hold it to heads that were kept where the service cannot reach (--witness, --anchor).\n',
    )
  })

  it('says of a file that was moved where its chain goes on, for people and for programs', async () => {
    await fill()
    await moveTo(url, source.file)
    const { out, error, code } = await verify('--ledger', source.file)
    expect({ error, code }).toEqual({ error: '', code: 0 })
    const [, at] =
      /\n {2}moved {4}to (.*) on .*Z: the chain goes on there behind entry 1500\n/.exec(out) ?? []
    expect(at).toBe(`${nameAt(url)} (schema countersign)`)
    const json = await verify('--ledger', source.file, '--json')
    expect(JSON.parse(json.out)).toMatchObject({
      verdict: 'sound',
      moved: {
        state: 'done',
        to: { database: nameAt(url), schema: 'countersign' },
        tip: { sequence: 1500 },
      },
    })
  })

  const mark = (tip: Link, state: MoveMark['state'] = 'done') => {
    const db = new DatabaseSync(source.file)
    const to = { database: 'postgres://db.contoso.example:5432/ledger', schema: 'countersign' }
    putMoveMark(db, { state, to, tip, atMs: 1_790_000_000_000 })
    db.close()
  }

  it.each([
    ['is gone', 'DROP TABLE moved'],
    ['has a date that is none', 'UPDATE moved SET at_ms = 9000000000000000'],
    ['has a number that no program holds', 'UPDATE moved SET sequence = 9007199254740993'],
  ])('keeps its verdict where what says that it was moved %s', async (_, sql) => {
    await fill()
    mark(required([...readRows(source.file)].at(-1)))
    changeFile(source.file, sql)
    const whole = await verify('--ledger', source.file)
    expect(whole).toMatchObject({ error: '', code: 2 })
    expect(whole.out).toMatch(/^NOT DECIDED: /)
    expect(whole.out).toContain('\n  moved    what says so is damaged\n')
    expect(whole.out).toContain(
      '\n  not decided: whether it was moved away: what says so in its file is damaged\n',
    )
    changeFile(source.file, "UPDATE entry SET canonical = '{}' WHERE sequence = 1200")
    const { out, error, code } = await verify('--ledger', source.file)
    expect({ error, code }).toEqual({ error: '', code: 1 })
    expect(out).toMatch(/^DAMAGED: entry 1200 was changed, or was removed\.\n/)
    expect(out).toContain('\n  moved    what says so is damaged\n')
    const json = await verify('--ledger', source.file, '--json')
    expect(JSON.parse(json.out)).toMatchObject({ verdict: 'damaged', moved: 'damaged' })
  })

  it.each<[claim: string, end: (rows: readonly Row[]) => Link | undefined, said: string]>([
    [
      'entries that were written when it had been moved away',
      (rows) => rows[1497],
      'entry 1499 was written when the ledger had been moved away, and begins another history (2 of them).',
    ],
    [
      'another end than it had when it was moved',
      () => ({ sequence: 1500, hash: Buffer.alloc(32) }),
      'entry 1500 is where the ledger is said to end, because it was moved away, and that does not fit: it has another hash.',
    ],
    [
      'an end before the one that it had when it was moved',
      () => ({ sequence: 1501, hash: Buffer.alloc(32) }),
      'entry 1501 is where the ledger is said to end, because it was moved away, and that does not fit: it ends with entry 1500.',
    ],
  ])('finds %s, also when the move was not finished', async (_, end, said) => {
    await fill()
    for (const state of ['done', 'begun'] as const) {
      mark(required(end([...readRows(source.file)])), state)
      const { out, error, code } = await verify('--ledger', source.file)
      expect({ error, code }).toEqual({ error: '', code: 1 })
      expect(out.split('\n')[0]).toBe(`DAMAGED: ${said}`)
    }
  })

  it('says of one that was perhaps moved what has to be done', async () => {
    await fill()
    mark(required([...readRows(source.file)].at(-1)), 'begun')
    const { out, error, code } = await verify('--ledger', source.file)
    expect({ error, code }).toEqual({ error: '', code: 0 })
    expect(out).toContain(
      '\n  moved    perhaps, to postgres://db.contoso.example:5432/ledger (schema countersign): a move began on 2026-09-21T14:13:20.000Z, and "countersign ledger migrate" has to finish it\n',
    )
  })

  it('does not say so where it is now', async () => {
    await fill()
    await moveTo(url, source.file)
    const { out, code } = await verify('--ledger', url)
    expect(code).toBe(0)
    expect(out).not.toContain('moved')
  })

  it.each([
    [
      'was changed',
      "UPDATE entry SET canonical = '{}' WHERE sequence = 1200",
      /^DAMAGED: entry 1200 was changed, or was removed\.\n.*\n {2}intact {3}up to 1199 [0-9a-f]{64}\n/,
    ],
    [
      'is missing',
      'DELETE FROM entry WHERE sequence = 1200',
      /^DAMAGED: entry 1200 was removed\.\n.*\n {2}intact {3}up to 1199 /,
    ],
    [
      'was put before the first',
      "INSERT INTO entry SELECT 0, hash, '{}' FROM entry WHERE sequence = 1",
      /^DAMAGED: entry 1 was inserted\.\n.*\n {2}intact {3}up to 0 /,
    ],
  ])('names the entry that %s', async (_, sql, said) => {
    await fill()
    changeFile(source.file, sql)
    const { out, error, code } = await verify('--ledger', source.file)
    expect({ error, code }).toEqual({ error: '', code: 1 })
    expect(out).toMatch(said)
  })

  it('takes a URL, a file that holds one, and what a configuration names', async () => {
    const ledger = await openLedger({
      locate: () => Promise.resolve(ledgerAt(url, 'partner_ledger')),
    })
    await ledger.append(entries)
    await ledger.close()
    for (const options of [
      ['--ledger', url, '--schema', 'partner_ledger'],
      ['--ledger', urlFile(), '--schema', 'partner_ledger'],
      ['--config', configFile('partner_ledger')],
    ]) {
      const { out, error, code } = await verify(...options)
      expect({ error, code }).toEqual({ error: '', code: 0 })
      expect(out).toContain('  entries  1500\n')
      expect(out).not.toContain(passwordIn(url))
    }
    await query(url, "UPDATE partner_ledger.entry SET canonical = '{}' WHERE sequence = 1200")
    const { out, code } = await verify('--ledger', url, '--schema', 'partner_ledger')
    expect({ out, code }).toMatchObject({
      out: expect.stringContaining('DAMAGED: entry 1200 was changed') as unknown,
      code: 1,
    })
  })

  /** As a disk does that has lost a sector, past what opening the file reads. */
  const damage = () => {
    const bytes = readFileSync(source.file)
    bytes.fill(0xff, bytes.length / 2)
    writeFileSync(source.file, bytes)
    return source.file
  }

  it.each([
    ['is not there', () => ['--ledger', 'no.db'], 'there is no file no.db'],
    ['is damaged', () => ['--ledger', damage()], 'cannot be read to its end: '],
    ['was never begun', () => ['--ledger', url], 'was never begun'],
    [
      'is at a URL that is none',
      () => ['--ledger', 'postgress://x:y@z/w'],
      '--ledger must be a URL',
    ],
    ['is not named by anything', () => [], 'countersign.yaml:1: config.unreadable'],
    ['has an option that is none', () => ['--legder', 'no.db'], "unknown option '--legder'"],
  ])('exits with 2 and says why when the ledger %s', async (_, options, said) => {
    await fill()
    const { out, error, code } = await verify(...options())
    expect({ out, code }).toEqual({ out: '', code: 2 })
    expect(error).toContain(said)
    expect(error).not.toContain('    at ')
  })

  it('shows an example in its help', async () => {
    const { out, code } = await verify('--help')
    expect(code).toBe(0)
    expect(out).toContain('$ countersign ledger verify --ledger ')
  })
})

describe('countersign reconcile on a ledger in PostgreSQL', () => {
  const log = () => {
    const file = join(folder, 'log.json')
    writeFileSync(file, [recordLine(0), lastRecordLine()].join('\n'))
    return ['--vault-log', file, '--now', '2026-11-23T04:00:00Z']
  }
  const begin = async (schema = 'countersign') => {
    const ledger = await openLedger({
      locate: () => Promise.resolve(ledgerAt(url, schema)),
    })
    await ledger.append([loaded, begun(0), made(0), proved(0)])
    await ledger.close()
  }

  it('accounts for it as for a file, and names it without its password', async () => {
    await begin()
    const { out, error, code } = await countersign('reconcile', '--ledger', url, ...log())
    expect({ error, code }).toEqual({ error: '', code: 0 })
    expect(out).toMatch(/^ACCOUNTED FOR: /)
    expect(out).toContain(`postgres://127.0.0.1:${server.port}/`)
    expect(out).not.toContain(passwordIn(url))
  })

  it('takes a file that holds its URL', async () => {
    await begin()
    const { error, code } = await countersign('reconcile', '--ledger', urlFile(), ...log())
    expect({ error, code }).toEqual({ error: '', code: 0 })
  })

  it('reads the schema that is named, or else the configured one', async () => {
    await begin('partner_ledger')
    const config = ['--config', configFile('partner_ledger')]
    for (const [options, expected] of [
      [['--ledger', url, '--schema', 'partner_ledger'], 0],
      [['--ledger', url, ...config], 0],
      [config, 0],
      [['--ledger', url], 2],
      [['--ledger', url, ...config, '--schema', 'countersign'], 2],
      [[...config, '--schema', 'countersign'], 2],
      [[...config, '--schema', 'x; DROP TABLE entry'], 2],
    ] as const) {
      const { error, code } = await countersign('reconcile', ...options, ...log())
      expect({ options, error, code }).toMatchObject({
        options,
        error: expect.stringMatching(
          expected === 0 ? /^$/ : /schema countersign is empty|--schema must be/,
        ) as unknown,
        code: expected,
      })
    }
  })

  it('finds what was changed in it', async () => {
    await begin()
    await query(url, "UPDATE countersign.entry SET canonical = '{}' WHERE sequence = 2")
    const { out, code } = await countersign('reconcile', '--ledger', url, ...log())
    expect(code).toBe(1)
    expect(out).toContain('ledger.broken')
  })

  it('does not decide when it cannot be read, and does not repeat the password', async () => {
    for (const ledger of [
      url,
      urlWith(url, { port: '1' }),
      url.replace('postgres:', 'postgress:'),
    ]) {
      const { error, code } = await countersign('reconcile', '--ledger', ledger, ...log())
      expect(code).toBe(2)
      expect(error).toMatch(/^reconcile: /)
      expect(error).not.toContain(passwordIn(url))
    }
  })
})
