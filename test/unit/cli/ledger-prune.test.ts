import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { verifyLedger } from '../../../src/custody/verify-ledger.ts'
import type { Row } from '../../../src/ledger/chain.ts'
import { readExportedPages } from '../../../src/ledger/exported-ledger.ts'
import { putMoveMark } from '../../../src/ledger/move-mark.ts'
import { readEnd, readRows } from '../../../src/ledger/read.ts'
import { createSqliteLedger } from '../../../src/ledger/sqlite-ledger.ts'
import type { Entry } from '../../../src/ledger/entry.ts'
import {
  anchorText,
  entryOf,
  headKey,
  signingCertificate,
  writeLedger,
  type WrittenLedger,
} from '../../support/evidence.ts'
import { changeFile } from '../../support/ledger-store.ts'
import { required } from '../../support/required.ts'
import { createTestWitnessKey, witnessText } from '../../support/witness.ts'

const dayMs = 86_400_000
const witnessKey = createTestWitnessKey()

let folder: string
let file: string
let ledger: WrittenLedger
const at = (name: string) => join(folder, name)

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'countersign-prune-'))
  file = at('countersign.db')
  ledger = writeLedger({
    entries: 200,
    headEvery: 50,
    proofEvery: 20,
    beginsMs: Date.now() - 10 * dayMs,
  })
  await append(ledger.entries)
  writeFileSync(at('witnessed.jsonl'), witnessText(ledger.heads, witnessKey))
  writeFileSync(at('heads.jsonl'), anchorText(ledger.heads))
  const pem = witnessKey.publicKey.export({ type: 'spki', format: 'pem' })
  writeFileSync(at('witness.pem'), pem)
})
afterEach(() => {
  rmSync(folder, { recursive: true })
})

async function append(entries: readonly Entry[]): Promise<void> {
  const written = await createSqliteLedger({ file })
  await written.append(entries)
  await written.close()
}

function run(verb: string, ...options: readonly string[]) {
  const args = ['src/cli/countersign.ts', 'ledger', verb, '--ledger', file, ...options]
  const { status, stdout, stderr } = spawnSync(process.execPath, args, {
    encoding: 'utf8',
    timeout: 60_000,
  })
  return { status, stdout, stderr }
}

const witness = () => ['--witness', at('witnessed.jsonl'), '--witness-key', at('witness.pem')]
const toExport = () => ['--export', at('old.jsonl')]
const rows = () => [...readRows(file)]
const verdict = (pages: Iterable<Iterable<Row>> = [rows()]) =>
  verifyLedger(pages, {
    headKeys: [],
    anchors: [],
    certificates: [],
    witnesses: [{ file: at('witnessed.jsonl'), keys: [witnessKey.publicKey] }],
  })
const joined = () => [...readExportedPages(at('old.jsonl')), rows()]

describe('countersign ledger prune', () => {
  test('removes what is exported, and what is left says so and still verifies', async () => {
    const pruned = run('prune', '--up-to', '120', ...witness(), ...toExport())
    expect(pruned.status).toBe(0)
    expect(pruned.stderr).toContain('without --config, nothing is kept that is still to be sent')
    expect(pruned.stdout).toContain('PRUNED: entries 1 to 100, up to the head of ')
    const [cut, first] = rows()
    expect([cut?.isCut, first?.sequence]).toEqual([true, 101])
    expect(entryOf(required(rows().at(-1)))).toMatchObject({
      kind: 'ledger.pruned',
      from: 1,
      upTo: 100,
      heldBy: 'witness',
    })
    expect(await verdict()).toMatchObject({
      verdict: 'sound',
      begins: { behind: 100 },
      pruned: { from: 1, upTo: 100 },
      provenUpTo: ledger.sealedUpTo,
      ledger: Buffer.from(required(ledger.rows[0]).hash).toString('base64url'),
      anchors: [{ beforeCut: 1, verified: 2, notCompared: 0 }],
    })
    expect(readEnd(file)?.ledger).toBe(
      Buffer.from(required(ledger.rows[0]).hash).toString('base64url'),
    )
    const said = run('verify', ...witness())
    expect(said.status).toBe(0)
    expect(said.stdout).toContain('  pruned   entries 1 to 100, ')
    expect(said.stdout).toContain('; the head for 100 is held by a witness; ')
    expect(said.stdout).toContain('What was before entry 101 is not looked at')
    const alone = run('verify').stdout
    expect(alone).toContain('; the head for 100 is said to be held by a witness; ')
  })

  test('is undone for whoever has the export: all of it verifies again', async () => {
    run('prune', '--up-to', '120', ...witness(), ...toExport())
    const whole = await verdict(joined())
    expect(whole).toMatchObject({ verdict: 'sound', anchors: [{ verified: 3, beforeCut: 0 }] })
    expect(whole.begins).toBeUndefined()
    expect(whole.proofs).toMatchObject({ withoutBegin: 0, withoutCertificate: 0 })
    expect(run('verify', ...witness(), '--pruned', at('old.jsonl')).status).toBe(0)
    const shown = run('show', '--from', '7', '--to', '7', '--json', '--pruned', at('old.jsonl'))
    expect(shown.stdout).toContain('{"sequence":7,')
  })

  test('may be done again, and goes on being written', async () => {
    run('prune', '--up-to', '60', ...witness(), ...toExport())
    await append([{ kind: 'service.started', atMs: Date.now(), version: '2.0.0' }])
    const again = run('prune', '--up-to', '120', ...witness(), '--export', at('later.jsonl'))
    expect(again.stdout).toContain('PRUNED: entries 51 to 100')
    expect(await verdict()).toMatchObject({ verdict: 'sound', pruned: { from: 51, upTo: 100 } })
    const all = [
      ...readExportedPages(at('old.jsonl')),
      ...readExportedPages(at('later.jsonl')),
      rows(),
    ]
    expect(await verdict(all)).toMatchObject({ verdict: 'sound', anchors: [{ verified: 3 }] })
    const out = run('export').stdout
    writeFileSync(at('out.jsonl'), out)
    expect(out).toMatch(/^\{"sequence":100,"hash":"[0-9a-f]{64}","cut":\{/)
    const { verdict: said, begins, pruned } = await verdict()
    expect(await verdict(readExportedPages(at('out.jsonl')))).toMatchObject({
      verdict: said,
      begins,
      pruned,
    })
  })

  test('is named to who goes on behind an export of before, and is no damage of it', () => {
    const out = at('out.jsonl')
    const lines = run('export').stdout.split('\n').slice(0, 60)
    writeFileSync(out, `${lines.join('\n')}\n`)
    run('prune', '--up-to', '120', ...witness(), ...toExport())
    const behind = run('export', '--after', '60')
    expect(behind).toMatchObject({ status: 1, stdout: '' })
    expect(behind.stderr).toContain('entries 61 to 100 are not in it any more')
    expect(run('export', '--after', '100').stdout).toMatch(
      /^\{"sequence":101,"hash":"\w+","entry":/,
    )
    // As who puts pages of `/v1/entries` one behind the other.
    writeFileSync(out, `${readFileSync(out, 'utf8')}${run('export').stdout}`)
    const verified = run('verify', '--ledger', out)
    expect(verified).toMatchObject({ status: 2, stdout: '' })
    expect(verified.stderr).toContain('Gather it anew')
  })

  test('takes an anchor where there is no witness, and says so', () => {
    const { stdout } = run('prune', '--up-to', '120', '--anchor', at('heads.jsonl'), ...toExport())
    expect(stdout).toContain('that an anchor holds')
  })

  test.each<[string, () => readonly string[], string]>([
    ['says how far', () => [...witness(), ...toExport()], 'say how far'],
    ['says whether to export', () => ['--up-to', '120', ...witness()], '--without-export'],
    ['somebody else holds a head', () => ['--up-to', '120', ...toExport()], 'nobody else holds'],
    [
      'such a head is old enough',
      () => ['--before', '2020-01-01T00:00:00Z', ...witness(), ...toExport()],
      'no head that somebody else holds is as old',
    ],
  ])('removes nothing unless one %s', (_, options, said) => {
    const { status, stderr } = run('prune', ...options())
    expect(status).toBe(1)
    expect(stderr).toContain(said)
    expect(rows()).toHaveLength(200)
  })

  test('removes nothing that somebody counts on, and says what that is', async () => {
    const young = writeLedger({
      entries: 200,
      headEvery: 50,
      proofEvery: 20,
      beginsMs: Date.now() - 300_000,
    })
    rmSync(file)
    await append(young.entries)
    writeFileSync(at('witnessed.jsonl'), witnessText(young.heads, witnessKey))
    const { status, stderr } = run('prune', '--up-to', '120', ...witness(), ...toExport())
    expect({ status, rows: rows().length }).toEqual({ status: 1, rows: 200 })
    expect(stderr).toContain('entry 4 stays: its token lives')
    expect(existsSync(at('old.jsonl'))).toBe(false)
  })

  test('overwrites no export, and leaves the ledger when it cannot be written', () => {
    writeFileSync(at('old.jsonl'), 'evidence')
    const { status, stderr } = run('prune', '--up-to', '120', ...witness(), ...toExport())
    expect({ status, said: stderr.includes('EEXIST') }).toEqual({ status: 1, said: true })
    expect(readFileSync(at('old.jsonl'), 'utf8')).toBe('evidence')
    expect(rows()).toHaveLength(200)
  })

  test('waits for entries that were not sent yet', () => {
    const hash = 'a'.repeat(64)
    writeFileSync(`${file}-exported`, JSON.stringify({ destination: 'x', sequence: 60, hash }))
    const { stdout } = run('prune', '--up-to', '120', ...witness(), '--without-export')
    expect(stdout).toContain('PRUNED: entries 1 to 50')
    expect(existsSync(at('old.jsonl'))).toBe(false)
  })

  test('waits for entries that were never sent to where the configuration says', () => {
    const config = join(
      import.meta.dirname,
      '../../fixtures/configuration/valid/the-ledger-is-exported-in-china/countersign.yaml',
    )
    const hash = 'a'.repeat(64)
    const options = ['--up-to', '120', ...witness(), '--without-export', '--config', config]
    const never = run('prune', ...options)
    expect(never.stderr).toContain('entries behind 0 stay until they are sent')
    writeFileSync(`${file}-exported`, JSON.stringify({ destination: 'x', sequence: 60, hash }))
    expect(run('prune', ...options).stderr).toContain('entries behind 0 stay until they are sent')
    const destination =
      'https://countersign-ledger-a1b2.chinaeast2-1.ingest.monitor.azure.cn/dataCollectionRules/dcr-0123456789abcdef0123456789abcdef/streams/Custom-CountersignLedger'
    writeFileSync(`${file}-exported`, JSON.stringify({ destination, sequence: 60, hash }))
    expect(run('prune', ...options)).toMatchObject({
      status: 0,
      stderr: '',
      stdout: expect.stringContaining('PRUNED: entries 1 to 50') as string,
    })
  })

  test('refuses a file that was moved, and exports nothing of it', () => {
    const db = new DatabaseSync(file)
    const tip = required(rows().at(-1))
    const to = { database: 'postgres://db.contoso.example:5432/ledger', schema: 'countersign' }
    putMoveMark(db, { state: 'done', to, tip, atMs: Date.now() })
    db.close()
    const { status, stderr } = run('prune', '--up-to', '120', ...witness(), ...toExport())
    expect(status).toBe(1)
    expect(stderr).toMatch(
      /^ledger prune: nothing was removed: the ledger .* was moved to postgres:\/\/db\.contoso\.example:5432\/ledger \(schema countersign\) on /,
    )
    expect(existsSync(at('old.jsonl'))).toBe(false)
    expect(rows()[0]?.sequence).toBe(1)
  })

  test('makes the file one that an earlier release refuses, and not before', () => {
    const version = () => {
      const db = new DatabaseSync(file)
      const found = db.prepare('PRAGMA user_version').get()?.['user_version']
      db.close()
      return found
    }
    expect(version()).toBe(3)
    run('prune', '--up-to', '120', ...witness(), ...toExport())
    expect(version()).toBe(4)
  })
})

describe('what is left of a pruned ledger', () => {
  const cutOf = () => JSON.parse(Buffer.from(required(rows()[0]).canonical).toString()) as object
  const replaceCut = (change: object) => {
    const text = JSON.stringify({ ...cutOf(), ...change }).replaceAll("'", "''")
    changeFile(file, `UPDATE cut SET statement = '${text}'`)
  }
  beforeEach(() => {
    run('prune', '--up-to', '120', ...witness(), ...toExport())
  })

  test.each<[string, () => void, object]>([
    [
      'whose cut says another head',
      () => {
        replaceCut({ head: required(ledger.heads[0]) })
      },
      { kind: 'false-cut', sequence: 100 },
    ],
    [
      'whose cut says another name',
      () => {
        replaceCut({ by: 'root@elsewhere' })
      },
      { kind: 'false-cut', detail: 'no entry tells of it' },
    ],
    [
      'whose cut is none',
      () => {
        replaceCut({ kind: 'x' })
      },
      { kind: 'false-cut', detail: 'it is none' },
    ],
    [
      'without its cut',
      () => {
        changeFile(file, 'DELETE FROM cut')
      },
      { kind: 'removed', sequence: 1 },
    ],
    [
      'of which somebody has removed more',
      () => {
        changeFile(file, 'DELETE FROM entry WHERE sequence < 110')
      },
      { kind: 'removed', sequence: 101 },
    ],
    [
      'of which the first entry is another',
      () => {
        changeFile(file, `UPDATE entry SET canonical = '{}' WHERE sequence = 101`)
      },
      { kind: 'changed', sequence: 101 },
    ],
  ])('is named %s', async (_, damage, expected) => {
    damage()
    expect((await verdict()).damage).toMatchObject(expected)
  })

  test('does not go on behind an export of something else', async () => {
    const text = readFileSync(at('old.jsonl'), 'utf8').trimEnd().split('\n')
    writeFileSync(at('old.jsonl'), `${text.slice(0, 90).join('\n')}\n`)
    expect((await verdict(joined())).damage).toMatchObject({
      kind: 'false-cut',
      detail: 'what is before it does not end there',
    })
  })

  test('has the certificates that later proofs need, and the key of its heads', async () => {
    const evidence = {
      headKeys: [headKey.publicKey],
      anchors: [],
      certificates: [signingCertificate],
    }
    const found = await verifyLedger([rows()], evidence)
    expect(found).toMatchObject({ verdict: 'sound', heads: { verified: 3, keys: 'given' } })
    expect(found.proofs.verified).toBeGreaterThan(2)
    expect(found.proofs.withGiven).toBe(found.proofs.verified)
  })
})
