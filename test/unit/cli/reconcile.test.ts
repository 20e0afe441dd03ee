import { spawn } from 'node:child_process'
import { closeSync, existsSync, openSync, readFileSync, statSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { text } from 'node:stream/consumers'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { noRounds } from '../../../src/reconcile/rounds/round-state.ts'
import { startedEntry } from '../../support/entries.ts'
import { createReconcileFiles } from '../../support/reconcile-files.ts'
import type { ReconcileFiles } from '../../support/reconcile-files.ts'
import {
  begun,
  keyUrl,
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

const countersign = (...options: readonly string[]) => countersignIn(process.env, ...options)

async function countersignIn(env: NodeJS.ProcessEnv, ...options: readonly string[]) {
  const child = spawn(process.execPath, [program, 'reconcile', ...options], {
    cwd: files.folder,
    env,
  })
  const exited = new Promise((resolve) => child.once('exit', resolve))
  const [out, error, code] = await Promise.all([text(child.stdout), text(child.stderr), exited])
  return { out, error, code }
}

let files: ReconcileFiles
beforeAll(async () => {
  files = await createReconcileFiles([loaded, begun(0), made(0), proved(0)])
  files.write('agreed.json', [recordLine(0), lastRecordLine()].join('\n'))
  files.write('blank.db', '')
  files.write('foreign.json', [recordLine(0), recordLine(5)].join('\n'))
})
afterAll(() => {
  files.remove()
})

const now = ['--now', '2026-11-23T04:00:00Z']
const ledger = ['--ledger', 'countersign.db']

describe('countersign reconcile', () => {
  it('exits with 0 when every signature is accounted for', async () => {
    const { out, error, code } = await countersign(...ledger, '--vault-log', 'agreed.json', ...now)
    expect({ error, code }).toEqual({ error: '', code: 0 })
    expect(out).toMatch(/^ACCOUNTED FOR: /)
  })

  it('exits with 1 when there are findings, and has all of them in its JSON', async () => {
    const { out, error, code } = await countersign(
      ...[...ledger, '--vault-log', 'agreed.json', 'foreign.json', '--json', ...now],
    )
    expect({ error, code }).toEqual({ error: '', code: 1 })
    expect(JSON.parse(out)).toMatchObject({
      verdict: 'findings',
      findings: [{ kind: 'sign.unexplained' }],
    })
  })

  it('says which log could not be read, and what the others have all the same', async () => {
    files.write('empty/readme.txt', '')
    const empty = ['--signin-log', 'empty', ...now]
    const found = await countersign(...ledger, '--vault-log', 'foreign.json', ...empty)
    expect(found).toMatchObject({ code: 1, error: '' })
    expect(found.out).toMatch(/^NOT ACCOUNTED FOR: the ledger does not know 1 signature/)
    expect(found.out).toContain('there is no PT1H.json below empty')
    const fits = await countersign(...ledger, '--vault-log', 'agreed.json', ...empty)
    expect(fits).toMatchObject({ code: 2, error: '' })
    expect(fits.out).toMatch(/^NOT DECIDED: .*1 log that could not be read/)
  })

  it('does not keep watch over what was never there, and does when it was there before', async () => {
    const watch = [...ledger, '--vault-log', 'agreed.json', '--signin-log', 'no.json', '--watch']
    const state = join(files.folder, 'watched')
    const never = await countersign(...watch, '--state', state)
    expect(never).toEqual({ out: '', error: 'reconcile: there is no no.json\n', code: 2 })
    const lastRound = {
      ...{ atMs: 0, tookMs: 0, verdict: 'accounted-for', undecided: [], entries: 0 },
      ...{ records: 0, signatures: 0, unread: 0 },
    }
    files.write('watched', JSON.stringify({ ...noRounds, lastRound }))
    const metrics = join(files.folder, 'watched.prom')
    const child = spawn(
      process.execPath,
      [program, 'reconcile', ...watch, '--state', state, '--metrics-file', metrics],
      { cwd: files.folder, stdio: ['ignore', 'ignore', 'pipe'] },
    )
    const said = text(child.stderr)
    while (!existsSync(metrics)) await pause(100)
    child.kill('SIGTERM')
    expect(await said).toContain('there is no no.json')
    expect(readFileSync(metrics, 'utf8')).toContain(
      'countersign_reconcile_undecided{reason="log-unreadable"} 1',
    )
  })

  it('does not keep watch as of another time, nor with what another ledger left behind', async () => {
    const watch = [...ledger, '--vault-log', 'agreed.json', '--watch']
    expect(await countersign(...watch, ...now)).toMatchObject({
      code: 2,
      error: expect.stringContaining('--now means nothing with --watch') as string,
    })
    files.write('other-state', JSON.stringify({ ...noRounds, ledger: 'another' }))
    expect(await countersign(...watch, '--state', 'other-state')).toMatchObject({
      code: 2,
      error: expect.stringContaining('other-state is of another ledger than this one') as string,
    })
  })

  it('exits with 2 when it is too early to decide; without grace it decides', async () => {
    const early = ['--now', '2026-11-22T04:10:00Z', '--vault-log', 'foreign.json']
    const { out, code } = await countersign(...ledger, ...early)
    expect(code).toBe(2)
    expect(out).toMatch(/^NOT DECIDED: 1 signature of the log younger than the grace period/)
    expect(await countersign(...ledger, ...early, '--grace-minutes', '0')).toMatchObject({
      code: 1,
    })
  })

  it.each([
    ['no log is named', [...ledger], "reconcile: name the vault's log with --vault-log"],
    [
      'the log is not there',
      [...ledger, '--vault-log', 'no.json'],
      'reconcile: there is no no.json',
    ],
    [
      'the ledger is not there',
      ['--ledger', 'no.db', '--vault-log', 'agreed.json'],
      'reconcile: there is no file no.db',
    ],
    [
      'the ledger is what a first start left that was killed at once',
      ['--ledger', 'blank.db', '--vault-log', 'agreed.json'],
      'reconcile: the ledger blank.db is empty: the service ended before its first entry',
    ],
    [
      'nothing names the ledger',
      ['--vault-log', 'agreed.json'],
      'countersign.yaml:1: config.unreadable',
    ],
    [
      'a time has no zone',
      [...ledger, '--vault-log', 'agreed.json', '--now', '2026-11-22T04:10:00'],
      'It is not such as 2026-11-22T04:56:16Z.',
    ],
    [
      'a key is none',
      [...ledger, '--vault-log', 'agreed.json', '--key', 'partner-signing'],
      'It is not https://VAULT/keys/NAME.',
    ],
    [
      'the grace period is none',
      [...ledger, '--vault-log', 'agreed.json', '--grace-minutes', '-1'],
      'It is not a whole number from 0 to 10080.',
    ],
  ])('exits with 2 and says why when %s', async (_, options, message) => {
    const { out, error, code } = await countersign(...options)
    expect({ out, code }).toEqual({ out: '', code: 2 })
    expect(error).toContain(message)
  })

  it('exits with 2 and a sentence when the environment does not say what it may say', async () => {
    const env = { ...process.env, COUNTERSIGN_LOG_LEVEL: 'loud' }
    const { out, error, code } = await countersignIn(env, '--vault-log', 'agreed.json')
    expect({ out, code }).toEqual({ out: '', code: 2 })
    expect(error).toBe(
      'reconcile: COUNTERSIGN_LOG_LEVEL must be one of fatal, error, warn, info, debug, trace, silent.\n',
    )
  })

  it('finds the ledger, and keys to watch besides those in it, in the configuration', async () => {
    files.write(
      'configured/countersign.yaml',
      readFileSync(smallest, 'utf8')
        .replace('./countersign.db', '../countersign.db')
        .replace('name: partner-signing', 'name: next-signing'),
    )
    const { out, code } = await countersign(
      ...['--config', 'configured/countersign.yaml', '--vault-log', 'agreed.json', '--json'],
      ...now,
    )
    expect(code).toBe(0)
    expect(JSON.parse(out)).toMatchObject({
      ledger: { entries: 4 },
      watchedKeys: ['https://contoso-hsm.vault.azure.net/keys/next-signing', keyUrl],
    })
  })

  it('writes the page besides what it prints, with the same verdict', async () => {
    const options = [...ledger, '--vault-log', 'agreed.json', ...now]
    const { out, code } = await countersign(...options, '--html', 'report.html')
    expect(code).toBe(0)
    expect(out).toMatch(/^ACCOUNTED FOR: /)
    const page = readFileSync(join(files.folder, 'report.html'), 'utf8')
    expect(page).toMatch(/^<!doctype html>[^]*<strong>Accounted for:<\/strong>[^]*<\/html>\s*$/)
    const found = await countersign(
      ...options,
      '--html',
      'report.html',
      '--vault-log',
      'foreign.json',
    )
    expect(found.code).toBe(1)
    expect(readFileSync(join(files.folder, 'report.html'), 'utf8')).toContain('Not accounted for:')
  })

  it('exits with 2 and says why when the page cannot be written', async () => {
    const options = [...ledger, '--vault-log', 'agreed.json', ...now]
    const { out, error, code } = await countersign(...options, '--html', 'no/report.html')
    expect(code).toBe(2)
    expect(out).toMatch(/^ACCOUNTED FOR: /)
    expect(error).toMatch(/^reconcile: no\/report\.html cannot be written: ENOENT/)
  })

  it('keeps its findings when the page cannot be written', async () => {
    const options = [...ledger, '--vault-log', 'foreign.json', ...now]
    const { out, error, code } = await countersign(...options, '--html', 'no/report.html')
    expect(code).toBe(1)
    expect(out).toMatch(/^NOT ACCOUNTED FOR: /)
    expect(error).toMatch(/^reconcile: no\/report\.html cannot be written: ENOENT/)
  })

  it('holds the ledger to an anchor, and has no verdict without it', async () => {
    const options = [...ledger, '--vault-log', 'agreed.json', ...now]
    const without = await countersign(...options, '--anchor', 'none.jsonl')
    expect(without.code).toBe(2)
    expect(without.error).toMatch(/^reconcile: ENOENT.*none\.jsonl/)
    expect((await countersign(...options)).code).toBe(0)
  })

  it('shows an example in its help', async () => {
    const { out, code } = await countersign('--help')
    expect(code).toBe(0)
    expect(out).toContain('$ countersign reconcile --vault-log vault-log --ledger ')
  })

  it('takes the logs of Entra, and says who and where the service is', async () => {
    files.write('sign-ins.json', '{"createdDateTime":"2026-11-22T04:00:00Z","appId":"a"}')
    files.write('audits.json', '')
    const { out, error, code } = await countersign(
      ...[...ledger, '--vault-log', 'agreed.json', ...now, '--output', 'json'],
      ...['--signin-log', 'sign-ins.json', '--audit-log', 'audits.json'],
      ...['--principal', '51000000-0000-4000-8000-000000000009', '--address', '203.0.113.0/24'],
      ...['--application', '11111111-0000-4000-8000-000000000001'],
    )
    expect({ error, code }).toEqual({ error: '', code: 1 })
    const report = JSON.parse(out) as Record<string, unknown>
    expect(report).toMatchObject({
      findings: [{ kind: 'sign.foreign-identity', severity: 'high' }],
      undecided: [{ reason: 'log-not-understood', count: 1 }],
      signInLog: { paths: ['sign-ins.json'], unread: 1 },
      auditLog: { paths: ['audits.json'], records: 0 },
      watchedApplications: ['11111111-0000-4000-8000-000000000001'],
    })
  })

  it.each([
    ['--principal', 'nobody', 'It is not a GUID.'],
    ['--address', '203.0.113.0/33', 'It is neither an address nor a network'],
    ['--agreed', '51000000-0000-4000-8000-000000000009=key', 'It is not an object id'],
    ['--output', 'html', 'Allowed choices are text, json.'],
  ])('decides nothing with %s %s', async (option, value, why) => {
    const { error, code } = await countersign(
      ...[...ledger, '--vault-log', 'agreed.json', ...now, option, value],
    )
    expect(code).toBe(2)
    expect(error).toContain(why)
  })
})

describe('countersign reconcile of a ledger that is long enough for a second thread', () => {
  let long: ReconcileFiles
  const entries = 12_000
  beforeAll(async () => {
    const others = Array.from({ length: entries - 4 }, (_, index) => startedEntry(String(index)))
    long = await createReconcileFiles([loaded, begun(0), made(0), proved(0), ...others])
  })
  afterAll(() => {
    long.remove()
  })

  const reconciled = () =>
    countersign('--ledger', long.ledgerFile, '--vault-log', 'agreed.json', ...now)

  it('ends when it has told the verdict', async () => {
    const { out, error, code } = await reconciled()
    expect({ error, code }).toEqual({ error: '', code: 0 })
    expect(out).toContain(`${entries} lines`)
  })

  it('finds an entry that was changed at its end', async () => {
    const db = new DatabaseSync(long.ledgerFile)
    db.exec(`UPDATE entry SET canonical = '{"kind":"x"}' WHERE sequence = ${entries - 10}`)
    db.close()
    const { out, error, code } = await reconciled()
    expect({ error, code }).toEqual({ error: '', code: 1 })
    expect(out).toContain(`entry ${entries - 10} is not what was written`)
  })

  it('finds that its file is damaged, and reads it up to there', async () => {
    const pageBytes = 4096
    const middle = Math.floor(statSync(long.ledgerFile).size / 2 / pageBytes) * pageBytes
    const handle = openSync(long.ledgerFile, 'r+')
    writeSync(handle, Buffer.alloc(pageBytes * 2, 0xff), 0, pageBytes * 2, middle)
    closeSync(handle)
    const { out, error, code } = await reconciled()
    expect({ error, code }).toEqual({ error: '', code: 1 })
    expect(out).toMatch(/entry \d+, or what follows it, cannot be read: database disk image/)
  })
})
