import { type ChildProcess, spawn } from 'node:child_process'
import { createHash, createHmac } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Ajv } from 'ajv'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { systemClock } from '../../src/base/clock.ts'
import { loadConfig } from '../../src/config/load-config.ts'
import { ledgerInFile } from '../../src/ledger/ledger-source.ts'
import type { Report } from '../../src/reconcile/reconcile.ts'
import { reconcileSources } from '../../src/reconcile/reconcile-sources.ts'
import { configuredReading, openLogs } from '../../src/reconciling.ts'
import type { FindingBody } from '../../src/reconcile/rounds/finding-body.ts'
import { mintOrderSchema } from '../../src/emulator/issuers/mint-order.ts'
import type { TestEmulator } from '../support/emulator.ts'
import { signing, strike } from '../support/faults.ts'
import { required } from '../support/required.ts'
import { serveFrom, type Served } from '../support/served.ts'
import { cast, deployAsk, startServiceEmulator } from '../support/test-service.ts'

/**
 * The whole way: a service under load whose vault fails, killed; a log that comes late, twice and out of order; and
 * `countersign reconcile --watch`, killed too, which tells of what the faults explain and then of one rogue signature.
 */

const webhookSecret = 'a secret of the webhook'
const patienceMs = 60_000

let folder: string
let emulator: TestEmulator
let service: Served
let watcher: ChildProcess | undefined
let server: Server
let posts: { readonly headers: NodeJS.Dict<string | string[]>; readonly body: string }[]
let answers: number
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'countersign-watch-'))
  posts = []
  answers = 204
  server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      posts.push({ headers: request.headers, body: Buffer.concat(chunks).toString() })
      response.writeHead(answers).end()
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  emulator = await startServiceEmulator(undefined, {
    vaultLog: { lateSecondsMax: 3, disorder: 0.3, duplicates: 0.3 },
  })
  service = serveFrom(emulator, {
    configuration: (file) => ({
      ...file,
      reconcile: {
        sources: [{ vaultLog: emulator.endpoints.vaultLogFolder }],
        graceMinutes: 0,
        webhook: { url: `http://127.0.0.1:${port}/countersign` },
      },
    }),
  })
})
afterEach(async () => {
  watcher?.kill('SIGKILL')
  await service.remove()
  await emulator.stop()
  server.close()
  rmSync(folder, { recursive: true })
})

const stateFile = () => join(folder, 'reconciled')
const configFile = () => join(service.ledgerFile, '../countersign.yaml')

function startWatching(): ChildProcess {
  const child = spawn(
    process.execPath,
    [
      join(import.meta.dirname, '../../src/cli/countersign.ts'),
      ...['reconcile', '--config', configFile(), '--watch', '--every', '1s', '--json'],
      ...['--state', stateFile(), '--metrics-file', join(folder, 'reconcile.prom')],
    ],
    { env: { COUNTERSIGN_WEBHOOK_SECRET: webhookSecret }, stdio: ['ignore', 'ignore', 'pipe'] },
  )
  watcher = child
  return child
}

/** Resolves when it holds, asked again and again. */
async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + patienceMs
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`it never came to that: ${JSON.stringify(posts)}`)
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

/** Each event once, however often it was posted. */
const events = (): readonly FindingBody[] => [
  ...new Map(
    posts.map(({ body }) => JSON.parse(body) as FindingBody).map((event) => [event.id, event]),
  ).values(),
]

/** What was told and not taken back. */
function standing(): readonly FindingBody['finding'][] {
  const open = new Map<string, FindingBody['finding']>()
  for (const { event, finding } of events()) {
    if (event === 'finding.new') open.set(finding.id, finding)
    else open.delete(finding.id)
  }
  return [...open.values()]
}

const kindsStanding = () =>
  standing()
    .map(({ kind }) => kind)
    .toSorted()

async function askForAssertions(count: number): Promise<void> {
  const origin = await service.origin()
  const issuer = required(emulator.issuers.find('github'))
  const token = await issuer.mint(mintOrderSchema.parse({ audience: cast.publicUrl }))
  await Promise.allSettled(
    Array.from({ length: count }, () =>
      fetch(`${origin}/v1/assertion`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: JSON.stringify(deployAsk),
      }),
    ),
  )
}

/** What one run over everything finds, without anything that it remembers. */
async function reconciledAnew(): Promise<Report> {
  const loaded = await loadConfig(configFile(), systemClock.nowSeconds())
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems))
  const { logs, identity, ...request } = configuredReading(loaded.config, undefined)
  const { sources } = await openLogs(logs, identity, systemClock)
  const ledger = ledgerInFile(service.ledgerFile)
  return reconcileSources({ ...request, ledger, sources, nowMs: systemClock.nowMs() })
}

test(
  'finds what faults explain and nothing else, and then one rogue signature, once, whoever is killed',
  { timeout: 4 * patienceMs },
  async () => {
    startWatching()
    await service.said('ready')
    await askForAssertions(3)
    strike(emulator, { ...signing, kind: 'drop-after' })
    await askForAssertions(1)
    strike(emulator, { ...signing, kind: 'throttle' })
    await askForAssertions(2)
    watcher?.kill('SIGKILL')
    const dying = askForAssertions(3)
    service.signal('SIGKILL')
    await dying
    emulator.vaultLog.flush()
    startWatching()

    const anew = await reconciledAnew()
    expect(anew.findings.length).toBeGreaterThan(0)
    expect([...new Set(anew.findings.map(({ kind }) => kind))]).toEqual(['sign.assumed'])
    await until(() => kindsStanding().join() === anew.findings.map(({ kind }) => kind).join())
    const before = standing().map(({ id }) => id)

    // While nobody is there to be told, and the one who tells dies.
    answers = 503
    const value = createHash('sha256').update('anything').digest('base64url')
    const key = new URL(anew.watchedKeys.find((name) => name.endsWith('/partner-signing')) ?? '')
    const answer = await emulator.ask(
      'contoso-hsm',
      `POST ${key.pathname}/sign?api-version=2025-07-01`,
      {
        token: await emulator.token('build-agent'),
        body: { alg: 'PS256', value },
        headers: { 'user-agent': '=cmd|<script>', 'content-type': 'application/json' },
      },
    )
    expect(answer.status).toBe(200)
    emulator.vaultLog.flush()
    await until(() => kindsStanding().includes('sign.unexplained'))
    watcher?.kill('SIGKILL')
    answers = 204
    const refused = posts.length
    startWatching()
    await until(() => posts.length > refused)

    const rogue = standing().filter(({ id }) => !before.includes(id))
    expect(rogue).toMatchObject([{ kind: 'sign.unexplained', severity: 'high' }])
    expect(rogue[0]?.facts).toContainEqual({ name: 'client', value: "'=cmd|‹script›" })
    const told = events().filter(({ finding }) => finding.id === rogue[0]?.id)
    expect(told).toHaveLength(1)
    // The one who was killed may have left metrics from before.
    const metrics = () => readFileSync(join(folder, 'reconcile.prom'), 'utf8')
    const found = 'countersign_reconcile_findings{kind="sign.unexplained",severity="high"} 1'
    await until(() => metrics().includes('untold_events 0') && metrics().includes(found))

    for (const { headers, body } of posts) {
      expect(verified(headers, body)).toBe(true)
      expect(isFindingEvent(JSON.parse(body))).toBe(true)
      expect(body).not.toMatch(/[<>]|eyJ/)
    }
    watcher?.kill('SIGTERM')
    expect(await endOfWatcher()).toBe(0)
  },
)

async function endOfWatcher(): Promise<number | null> {
  if (watcher === undefined) throw new TypeError('nobody keeps watch')
  const [code] = (await once(watcher, 'close')) as [number | null]
  return code
}

const isFindingEvent = new Ajv({ formats: { 'date-time': true } }).compile(
  JSON.parse(readFileSync('schemas/finding-event.schema.json', 'utf8')) as object,
)

/** As the specification of Standard Webhooks says it. */
function verified(headers: NodeJS.Dict<string | string[]>, body: string): boolean {
  const { 'webhook-id': id, 'webhook-timestamp': at, 'webhook-signature': signature } = headers
  const mac = createHmac('sha256', webhookSecret).update(`${String(id)}.${String(at)}.${body}`)
  return signature === `v1,${mac.digest('base64')}`
}
