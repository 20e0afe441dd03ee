import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { readRows } from '../../../src/ledger/read.ts'
import { readPages } from '../../../src/ledger/postgres-reader.ts'
import { startedEntry } from '../../support/entries.ts'
import { changeFile, createSqliteStore, type SqliteStore } from '../../support/ledger-store.ts'
import { query, startPostgres, urlWith, type TestPostgres } from '../../support/postgres.ts'
import {
  ledgerAt,
  openLedger,
  openLedgerAt,
  verifiedEntriesAt,
} from '../../support/postgres-store.ts'
import { required } from '../../support/required.ts'
import { begun, lastRecordLine, loaded, made, recordLine } from '../../support/signed-traffic.ts'

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

const migrate = (to = url) => countersign('ledger', 'migrate', '--from', source.file, '--to', to)

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
        `target  postgres://127.0.0.1:${server.port}/${new URL(url).pathname.slice(1)}: 1500 entries, tip ${tip}\n`,
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

  it('refuses a target that has entries, and leaves them alone', async () => {
    await fill()
    const ledger = await openLedgerAt(url)
    await ledger.append([startedEntry('already there')])
    await ledger.close()
    const { out, error, code } = await migrate()
    expect({ out, code }).toEqual({ out: '', code: 1 })
    expect(error).toMatch(
      /^ledger migrate: nothing was moved: .* has 1 entries, and must be empty\n$/,
    )
    expect(error).not.toContain(passwordIn(url))
    expect(await verifiedEntriesAt(url)).toEqual([startedEntry('already there')])
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
        'Self-consistent, not proven unrewritten: hold it to heads that were kept where the service cannot reach (--anchor).\n',
    )
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
    await ledger.append([loaded, begun(0), made(0)])
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
