import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { entryRowFrom } from '../../../src/custody/entry-row.ts'
import { exportedLine, readExportedPages } from '../../../src/ledger/exported-ledger.ts'
import { readRows } from '../../../src/ledger/read.ts'
import type { Entry } from '../../../src/ledger/entry.ts'
import { startedEntry, tokenIssuedEntry } from '../../support/entries.ts'
import { createSqliteStore, type SqliteStore } from '../../support/ledger-store.ts'
import { begun, made, signatureIdOf } from '../../support/signed-traffic.ts'

let folder: string
let store: SqliteStore

const hostile = '\u001b[2J=cmd|calc\n\u202eevil'
const entries: readonly Entry[] = [
  startedEntry('1'),
  begun(1),
  begun(2),
  made(2),
  made(1),
  { ...tokenIssuedEntry('orders', 'one'), obtainedBy: 'attempt-1' },
  { ...tokenIssuedEntry('billing', 'two'), caller: { issuer: 'cluster', subject: hostile } },
]

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'countersign-ledger-show-'))
  store = createSqliteStore()
  const ledger = await store.open()
  await ledger.append(entries)
  await ledger.close()
})
afterAll(() => {
  store.remove()
  rmSync(folder, { recursive: true })
})

function ledger(verb: string, ...options: readonly string[]) {
  const args = ['src/cli/countersign.ts', 'ledger', verb, '--ledger', store.file, ...options]
  const { status, stdout, stderr } = spawnSync(process.execPath, args, {
    encoding: 'utf8',
    timeout: 60_000,
  })
  return { status, stderr, lines: stdout.split('\n').slice(0, -1) }
}

const exported = () => [...readRows(store.file)].map((row) => exportedLine(row).trimEnd())

describe('countersign ledger show', () => {
  test('shows one attempt with what belongs to it by its signatures, and nothing else', () => {
    const { status, lines } = ledger('show', '--attempt', 'attempt-1', '--json')
    expect(status).toBe(0)
    const kinds = lines.map((line) => (JSON.parse(line) as { sequence: number }).sequence)
    expect(kinds).toEqual([2, 5, 6])
    expect(lines[1]).toContain(signatureIdOf(1))
  })

  test('shows a range, of one kind, as it is stored', () => {
    const { lines } = ledger(
      'show',
      '--from',
      '3',
      '--to',
      '6',
      '--kind',
      'signature.made',
      '--json',
    )
    expect(lines).toEqual(exported().slice(3, 5))
  })

  test('obeys nothing that a caller has put into its name', () => {
    const { lines } = ledger('show', '--caller', hostile)
    expect(lines).toHaveLength(1)
    expect(lines[0]).toMatch(/^ {7}7 {2}2026-.*Z {2}token\.issued {2}/)
    expect(lines[0]).not.toMatch(/\p{C}/u)
  })

  test('says that it cannot read what is not there', () => {
    const { status, stderr } = ledger('show', '--from', 'x')
    expect(status).toBe(1)
    expect(stderr).toContain('It is not the number of an entry.')
  })
})

describe('countersign ledger export', () => {
  test('writes lines that are read again as they were stored, and can be written in parts', () => {
    const whole = ledger('export')
    expect({ ...whole, lines: whole.lines }).toEqual({ status: 0, stderr: '', lines: exported() })
    expect(ledger('export', '--after', '4').lines).toEqual(exported().slice(4))
    expect(ledger('export', '--after', '7').lines).toEqual([])
    const file = join(folder, 'ledger.jsonl')
    writeFileSync(file, `${whole.lines.join('\n')}\n`)
    const rows = [...readExportedPages(file)].flat()
    const plain = ({ sequence, hash, canonical }: (typeof rows)[number]) => [
      sequence,
      Buffer.from(hash).toString('hex'),
      Buffer.from(canonical).toString(),
    ]
    expect(rows.map(plain)).toEqual([...readRows(store.file)].map(plain))
  })

  test('refuses to go on behind an entry that the ledger does not have', () => {
    const { status, stderr, lines } = ledger('export', '--after', '8')
    expect({ status, lines }).toEqual({ status: 1, lines: [] })
    expect(stderr).toContain('ends at entry 7, before entry 8')
  })

  const deployment = 'https://countersign.contoso.example'

  test.each([
    ['--deployment', deployment],
    ['--config', 'test/fixtures/configuration/valid/smallest/countersign.yaml'],
  ])('writes the rows that the service sends, whose deployment %s names', (...named) => {
    const { status, lines } = ledger('export', '--format', 'azure', '--after', '5', ...named)
    expect(status).toBe(0)
    const sent = [...readRows(store.file)].slice(5).map((row) => entryRowFrom(row, deployment))
    expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual(sent)
  })

  test.each([
    [[], '--format azure needs --deployment'],
    [['--deployment', `${deployment}/`], 'It is not an origin'],
  ])('writes no rows that would not say whose they are: %j', (named, why) => {
    const { status, stderr, lines } = ledger('export', '--format', 'azure', ...named)
    expect({ status, lines }).toEqual({ status: 1, lines: [] })
    expect(stderr).toContain(why)
  })
})
