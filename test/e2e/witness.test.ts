import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import type { Row } from '../../src/ledger/chain.ts'
import { exportedLine } from '../../src/ledger/exported-ledger.ts'
import { createSqliteLedger } from '../../src/ledger/sqlite-ledger.ts'
import type { Entry } from '../../src/ledger/entry.ts'
import { changeFile } from '../support/ledger-store.ts'
import { tokenIssuedEntry } from '../support/entries.ts'
import { continued, headKey, headOf, writeLedger, type WrittenLedger } from '../support/evidence.ts'
import { programsIn, runCommand } from '../support/command-line.ts'
import { startPostgres } from '../support/postgres.ts'
import { moveTo, openLedgerAt } from '../support/postgres-store.ts'
import { createTestWitnessKey } from '../support/witness.ts'

/** The witness as a process of its own: files, HTTP, exit codes and its output are all that reaches it. */

const witnessKey = createTestWitnessKey()
const program = join(import.meta.dirname, '../../src/cli/countersign.ts')
let folder: string
let ledgerFile: string
let ledger: WrittenLedger
let running: { kill(signal: 'SIGKILL'): void }[]
const at = (name: string) => join(folder, name)

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'countersign-witness-'))
  ledgerFile = at('countersign.db')
  running = []
  ledger = writeLedger({
    entries: 130,
    headEvery: 40,
    proofEvery: 25,
    beginsMs: Date.now() - 200_000,
  })
  await append(ledger.entries)
  const pem = { format: 'pem' } as const
  writeFileSync(at('heads.pem'), headKey.publicKey.export({ ...pem, type: 'spki' }))
  writeFileSync(at('key.pem'), witnessKey.privateKey.export({ ...pem, type: 'pkcs8' }))
  writeFileSync(at('witness.pem'), witnessKey.publicKey.export({ ...pem, type: 'spki' }))
  configure({ ledger: ledgerFile })
})
afterEach(() => {
  for (const one of running) one.kill('SIGKILL')
  rmSync(folder, { recursive: true })
})

async function append(entries: readonly Entry[]): Promise<void> {
  const written = await createSqliteLedger({ file: ledgerFile })
  await written.append(entries)
  await written.close()
}

/** JSON is YAML. */
const configure = (change: object) => {
  const whole = {
    headKeys: ['heads.pem'],
    key: 'key.pem',
    store: 'store.json',
    anchors: [{ file: 'witnessed.jsonl' }],
    metricsFile: 'metrics.prom',
    everySeconds: 1,
    ...change,
  }
  writeFileSync(at('witness.yaml'), JSON.stringify(whole))
}

function countersign(...args: readonly string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, ...args], {
    encoding: 'utf8',
    timeout: 60_000,
  })
  return { status, stdout, stderr }
}
const once = () => countersign('witness', '--config', at('witness.yaml'), '--once')
const verify = () =>
  countersign(
    ...['ledger', 'verify', '--ledger', ledgerFile, '--witness', at('witnessed.jsonl')],
    ...['--witness-key', at('witness.pem')],
  )

/** As whoever writes the file, and can have heads signed, would do it. */
function rewriteFrom(from: number): void {
  const stranger = { ...tokenIssuedEntry('made-up', 'x'), atMs: Date.now() - 100_000 }
  const rows = continued(
    ledger.rows.slice(0, from - 1),
    Array.from({ length: 60 }, () => stranger),
  )
  const whole = continued(rows, headOf(rows, Date.now() - 90_000, 999_999).ledgerEntries)
  const values = whole.map(({ sequence, hash, canonical }: Row) => {
    const text = Buffer.from(canonical).toString().replaceAll("'", "''")
    return `(${sequence}, x'${Buffer.from(hash).toString('hex')}', '${text}')`
  })
  changeFile(ledgerFile, `DELETE FROM entry; INSERT INTO entry VALUES ${values.join(',')}`)
}

/** Of the vault that signs heads. */
function recordLine(operationName: string, atMs: number): string {
  const record = {
    time: new Date(atMs).toISOString(),
    operationName,
    resultType: 'Success',
    correlationId: '0b8ac8b0-0000-4000-8000-000000000000',
    callerIpAddress: '203.0.113.9',
    properties: {
      id: 'https://contoso-hsm.vault.azure.net/keys/partner-signing/v1',
      httpStatusCode: 200,
    },
    resourceId: '/SUBSCRIPTIONS/0/RESOURCEGROUPS/R/PROVIDERS/MICROSOFT.KEYVAULT/VAULTS/CONTOSO-HSM',
    category: 'AuditEvent',
  }
  return `${JSON.stringify(record)}\n`
}

describe('countersign witness', { timeout: 120_000 }, () => {
  test('witnesses a ledger, and verify takes its word by its key', () => {
    const found = once()
    expect(found).toMatchObject({ status: 0, stderr: '' })
    expect(found.stdout).toMatch(/^WITNESSED: up to entry 130 of the ledger [\w-]{43}, 1 head more/)
    expect(readFileSync(at('metrics.prom'), 'utf8')).toContain(
      'countersign_witness_witnessed_entry 120\n',
    )
    const verified = verify()
    expect(verified.status).toBe(0)
    expect(verified.stdout).toContain('Proven unrewritten up to entry 120: a witness has seen it')
  })

  test('finds a ledger that was rewritten and signed anew by the heads’ own key; so does verify, which says the same', () => {
    once()
    rewriteFrom(100)
    const found = once()
    expect(found.status).toBe(1)
    expect(found.stdout).toContain('ALARM: head.contradicts')
    expect(readFileSync(at('metrics.prom'), 'utf8')).toContain(
      'countersign_witness_alarm{alarm="head.contradicts"} 1\n',
    )
    const verified = verify()
    expect(verified.status).toBe(1)
    expect(verified.stdout).toContain('the same key has signed it anew')
    const alone = countersign('ledger', 'verify', '--ledger', ledgerFile)
    expect(alone.stdout).toContain('Self-consistent, not proven unrewritten')
  })

  test('survives kill -9 at any moment, and says that the ledger is whole afterwards', async () => {
    let entries = ledger.rows
    for (let round = 0; round < 6; round += 1) {
      const child = spawn(process.execPath, [program, 'witness', '--config', at('witness.yaml')], {
        stdio: 'ignore',
      })
      running.push(child)
      const more = headOf(entries, Date.now(), 900_000 + round).ledgerEntries
      await append(more)
      entries = continued(entries, more)
      await pause(500 + round * 250)
      child.kill('SIGKILL')
    }
    const found = once()
    expect({ status: found.status, said: found.stdout }).toMatchObject({ status: 0 })
    expect(existsSync(at('store.json.new'))).toBe(false)
    const verified = verify()
    expect(verified.status).toBe(0)
    expect(verified.stdout).toMatch(/Proven unrewritten up to entry 14[0-9]: a witness/)
  })

  test('ends in order when it is told to', async () => {
    const child = spawn(process.execPath, [program, 'witness', '--config', at('witness.yaml')], {
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    running.push(child)
    let log = ''
    child.stderr.on('data', (chunk: Buffer) => {
      log += chunk.toString()
      if (log.includes('heads were witnessed')) child.kill('SIGTERM')
    })
    const code = await new Promise((resolve) => child.on('exit', resolve))
    expect({ code, log }).toMatchObject({ code: 0 })
    expect(log).toContain('the witness ends')
  })

  test('raises findings of the vault’s log, where it is given one', () => {
    writeFileSync(at('log.json'), recordLine('KeySign', Date.now() - 100_000))
    configure({
      ledger: ledgerFile,
      reconcile: { vaultLog: ['log.json'], graceMinutes: 0 },
    })
    const found = once()
    expect(found.status).toBe(1)
    expect(found.stdout).toContain('ALARM: reconcile.findings {"kinds":{"sign.unexplained":1')
  })

  test('tells an alarm when the vault’s log is not there, and where its metrics cannot be written', () => {
    configure({ ledger: ledgerFile, reconcile: { vaultLog: ['missing', 'away'] } })
    const first = once()
    // The ledger alone has some: no log that is away hides them.
    expect(first.status).toBe(1)
    expect(first.stdout).toMatch(
      /^ALARM: reconcile\.findings \{"kinds":\{"sign\.unproved":\d+\}\}$/m,
    )
    expect(first.stdout).toContain('NOT TO THE END: LOG_MISSING: ')
    for (const log of ['missing', 'away']) expect(first.stdout).toContain(`there is no ${at(log)}`)
    const metrics = () => readFileSync(at('metrics.prom'), 'utf8')
    expect(metrics()).toContain('countersign_witness_looked 0\n')
    rewriteFrom(100)
    const found = once()
    expect(found.status).toBe(1)
    expect(found.stdout).toContain('ALARM: head.contradicts')
    expect(metrics()).toContain('countersign_witness_alarm{alarm="head.contradicts"} 1\n')
    configure({ ledger: ledgerFile, metricsFile: folder })
    const unwritten = once()
    expect(unwritten.status).toBe(1)
    expect(unwritten.stdout).toContain('ALARM: head.contradicts')
    expect(unwritten.stderr).toContain('it is not an ordinary file')
  })

  test('goes on looking where its metrics cannot be written, and says so', async () => {
    configure({ ledger: ledgerFile, metricsFile: folder })
    const child = spawn(process.execPath, [program, 'witness', '--config', at('witness.yaml')], {
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    running.push(child)
    let log = ''
    child.stderr.on('data', (chunk: Buffer) => {
      log += chunk.toString()
      if (log.split('the metrics could not be written').length > 2) child.kill('SIGTERM')
    })
    const code = await new Promise((resolve) => child.on('exit', resolve))
    expect({ code, log }).toMatchObject({ code: 0 })
    expect(log).toContain('it is not an ordinary file')
  })

  test('reconciles after a tenth of the time again, when it could not', async () => {
    const record = {
      time: new Date(Date.now() - 100_000).toISOString(),
      operationName: 'KeySign',
      resultType: 'Success',
      correlationId: '0b8ac8b0-0000-4000-8000-000000000000',
      properties: {
        id: 'https://contoso-hsm.vault.azure.net/keys/partner-signing/v1',
        httpStatusCode: 200,
      },
      category: 'AuditEvent',
    }
    const reconcile = { vaultLog: ['log.json'], graceMinutes: 0, everySeconds: 60 }
    configure({ ledger: ledgerFile, reconcile })
    const child = spawn(process.execPath, [program, 'witness', '--config', at('witness.yaml')], {
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    running.push(child)
    let log = ''
    child.stderr.on('data', (chunk: Buffer) => {
      log += chunk.toString()
      if (log.includes('LOG_MISSING')) writeFileSync(at('log.json'), `${JSON.stringify(record)}\n`)
      if (log.includes('"alarm":"reconcile.findings"')) child.kill('SIGTERM')
    })
    const code = await new Promise((resolve) => child.on('exit', resolve))
    expect({ code, log }).toMatchObject({ code: 0 })
    expect(readFileSync(at('metrics.prom'), 'utf8')).toMatch(/^countersign_witness_undecided \d+$/m)
  })

  test('raises that the vault’s log has nothing of the hours in which heads were signed', async () => {
    const hourMs = 3_600_000
    const beginsMs = Date.now() - 5 * hourMs
    rmSync(ledgerFile)
    ledger = writeLedger({ entries: 130, headEvery: 40, proofEvery: 25, beginsMs })
    await append(ledger.entries)
    configure({ ledger: ledgerFile, reconcile: { vaultLog: ['log.json'], graceMinutes: 0 } })
    const log = [beginsMs - 2 * hourMs, beginsMs + 3 * hourMs].map((atMs) =>
      recordLine('KeyGet', atMs),
    )
    writeFileSync(at('log.json'), log.join(''))
    const found = once()
    expect(found.status).toBe(1)
    expect(found.stdout).toContain(
      'ALARM: logs.silent {"vault":"contoso-hsm.vault.azure.net","heads":3,',
    )
    expect(readFileSync(at('metrics.prom'), 'utf8')).toContain(
      'countersign_witness_alarm{alarm="logs.silent"} 1\n',
    )
    // Something of each of these hours: then what is missing is missing by itself.
    const inThem = [0, 60_000, 130_000].map((ms) => recordLine('KeyGet', beginsMs + ms))
    writeFileSync(at('log.json'), [...log, ...inThem].join(''))
    const heard = once()
    expect(heard.stdout).not.toContain('logs.silent')
    expect(heard.stdout).toContain('ALARM: reconcile.findings')
  })

  test('goes on in the database that the file was moved into, when its store names that, and not before', async () => {
    expect(once().status).toBe(0)
    const server = await startPostgres()
    onTestFinished(() => server.stop())
    const url = await server.createDatabase()
    const move = await moveTo(url, ledgerFile)
    expect(move).toMatchObject({ moved: true })
    writeFileSync(at('url'), url)
    configure({ ledger: at('url') })
    const before = once()
    expect(before).toMatchObject({ status: 2, stdout: '' })
    expect(before.stderr).toContain('the store is of another feed, key or ledger')
    const store = JSON.parse(readFileSync(at('store.json'), 'utf8')) as object
    const feed = `postgres://127.0.0.1:${server.port}${new URL(url).pathname}`
    writeFileSync(at('store.json'), JSON.stringify({ ...store, feed }))
    const ledgerThere = await openLedgerAt(url)
    await ledgerThere.append([tokenIssuedEntry('later', 'x')])
    await ledgerThere.close()
    const found = once()
    expect(found).toMatchObject({ status: 0, stderr: '' })
    expect(found.stdout).toMatch(
      /^WITNESSED: up to entry 131 of the ledger [\w-]{43}, 0 heads more/,
    )
  })

  test('is refused a store of another ledger, and a metrics file that is none', () => {
    once()
    configure({ ledger: at('other.db') })
    expect(once()).toMatchObject({ status: 2 })
    configure({ ledger: ledgerFile, metricsFile: folder })
    expect(once().status).toBe(2)
  })
})

describe('countersign witness of a service', { timeout: 120_000 }, () => {
  let server: Server
  let asked: { readonly url: string; readonly authorization: string | undefined }[]
  let answer: (after: number) => { readonly status: number; readonly body: string }
  beforeEach(async () => {
    asked = []
    answer = (after) => ({
      status: 200,
      body: ledger.rows
        .filter(({ sequence }) => sequence > after)
        .slice(0, 50)
        .map(exportedLine)
        .join(''),
    })
    server = createServer((request, response) => {
      const url = new URL(request.url ?? '', 'http://localhost')
      asked.push({ url: url.pathname, authorization: request.headers.authorization })
      const { status, body } = answer(Number(url.searchParams.get('after')))
      response.writeHead(status, { 'content-type': 'application/jsonl' }).end(body)
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    writeFileSync(at('token'), 'header.payload.signature')
    configure({
      service: { url: `http://127.0.0.1:${port}` },
      identity: { kind: 'token-file', file: 'token' },
    })
  })
  afterEach(() => {
    server.close()
  })

  test('is set up, looks, and proves what is left of a pruned ledger by the commands of docs/witness.md', async () => {
    const page = readFileSync(join(import.meta.dirname, '../../docs/witness.md'), 'utf8')
    const blocks = (language: string) =>
      [...page.matchAll(new RegExp(`\`\`\`${language}\\n([^]*?)\`\`\``, 'g'))].map(
        ([, text = '']) => text,
      )
    rmSync(ledgerFile)
    ledger = writeLedger({
      entries: 130,
      headEvery: 40,
      proofEvery: 25,
      beginsMs: Date.now() - 864_000_000,
    })
    await append(ledger.entries)
    const { port } = server.address() as AddressInfo
    const [written = ''] = blocks('yaml')
    const ours = written.replace('https://countersign.contoso.example', `http://127.0.0.1:${port}`)
    writeFileSync(at('witness.yaml'), ours)
    const environment = {
      PATH: programsIn(folder),
      LEDGER: ledgerFile,
      BEFORE: new Date(Date.now() - 86_400_000).toISOString(),
    }
    const said = []
    for (const command of blocks('sh')) {
      const { code, stdout, stderr } = await runCommand(command, environment, folder)
      expect(code, command + stdout + stderr).toBe(0)
      said.push(stdout)
    }
    expect(said.slice(1)).toEqual([
      expect.stringContaining('The configuration is sound.'),
      expect.stringContaining('WITNESSED: up to entry 130'),
      expect.stringContaining('Proven unrewritten up to entry 120: a witness'),
      expect.stringContaining('PRUNED: entries 1 to 120'),
      expect.stringMatching(/^SOUND: [^]*Proven unrewritten up to entry 120/),
    ])
  })

  /** Without holding up the server, which is in this process. */
  const onceBeside = () =>
    new Promise<{ readonly code: number | null; readonly out: string }>((resolve) => {
      const args = [program, 'witness', '--config', at('witness.yaml'), '--once']
      const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
      running.push(child)
      let out = ''
      child.stdout.on('data', (chunk: Buffer) => {
        out += chunk.toString()
      })
      child.on('exit', (code) => {
        resolve({ code, out })
      })
    })

  test.each([
    ['another', 200, 'rewritten'],
    ['a shorter', 50, 'rolled-back'],
  ])(
    'is told %s ledger to reconcile than the one that it saw, and raises that',
    async (_, length, how) => {
      writeFileSync(at('log.json'), '')
      await onceBeside()
      const { port } = server.address() as AddressInfo
      configure({
        service: { url: `http://127.0.0.1:${port}` },
        identity: { kind: 'token-file', file: 'token' },
        reconcile: { vaultLog: ['log.json'] },
      })
      expect((await onceBeside()).out).not.toContain('feed.contradicts')
      const honest = answer
      const stranger = { ...tokenIssuedEntry('made-up', 'x'), atMs: Date.now() - 100_000 }
      const others = continued(
        [],
        Array.from({ length }, () => stranger),
      )
      // A look is told what it saw: it asks behind the head that it witnessed.
      answer = (after) =>
        after === 120 || after === 130
          ? honest(after)
          : {
              status: 200,
              body: others
                .slice(after, after + 70)
                .map(exportedLine)
                .join(''),
            }
      const { code, out } = await onceBeside()
      expect({ code, out }).toMatchObject({ code: 1 })
      expect(out).toContain(`ALARM: feed.contradicts {"how":"${how}","sequence":120,`)
    },
  )

  test('asks with the auditor’s own token, page by page', async () => {
    const { code, out } = await onceBeside()
    expect({ code, out }).toMatchObject({ code: 0 })
    expect(out).toContain('WITNESSED: up to entry 130')
    expect(asked).toHaveLength(4)
    expect(new Set(asked.map(({ url }) => url))).toEqual(new Set(['/v1/entries']))
    expect(new Set(asked.map(({ authorization }) => authorization))).toEqual(
      new Set(['Bearer header.payload.signature']),
    )
  })

  test.each([
    [403, '', 2, 'NOT TO THE END: FEED_REFUSED'],
    [503, '', 2, 'NOT TO THE END: FEED_UNREACHABLE'],
    [200, '<html>', 2, 'NOT TO THE END: FEED_MALFORMED'],
    [409, '', 1, 'ALARM: feed.contradicts {"how":"rolled-back"'],
    [200, '{"sequence":121,"hash":"', 1, 'ALARM: feed.contradicts {"how":"broken"'],
  ])('tells an answer of %i from another', async (status, body, code, said) => {
    await onceBeside()
    answer = () => ({ status, body })
    const found = await onceBeside()
    expect(found.code).toBe(code)
    expect(found.out).toContain(said)
  })
})
