import { type ChildProcess, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Report } from '../../src/reconcile/reconcile.ts'
import type { FindingBody } from '../../src/reconcile/rounds/finding-body.ts'
import { createClientCertificate } from '../support/client-certificate.ts'
import type { TestEmulator } from '../support/emulator.ts'
import { required } from '../support/required.ts'
import { serveFrom, type Served } from '../support/served.ts'
import { startServiceEmulator } from '../support/test-service.ts'
import { obtainToken } from '../support/token-status.ts'
import { workspaceId } from '../support/workspace.ts'

/**
 * `countersign reconcile` over logs that are nowhere but in a workspace of Log Analytics, by the managed identity of
 * whoever runs it: what is not ingested yet is not found, and what is comes to a finding, once.
 */

const patienceMs = 60_000

let folder: string
let emulator: TestEmulator
let service: Served
let watcher: ChildProcess | undefined
let told: string
let said: string
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'countersign-watch-workspace-'))
  told = ''
  said = ''
  // Nothing arrives before it is let through.
  emulator = await startServiceEmulator(undefined, { vaultLog: { lateSecondsMax: 86_400 } })
  const place = () => ({ workspace: workspaceId, endpoint: emulator.endpoints.logsQuery })
  service = serveFrom(emulator, {
    configuration: (file) => ({
      ...file,
      reconcile: {
        sources: [{ vaultLog: place() }, { signInLog: place() }, { auditLog: place() }],
        graceMinutes: 0,
      },
    }),
  })
})
afterEach(async () => {
  watcher?.kill('SIGKILL')
  await service.remove()
  await emulator.stop()
  rmSync(folder, { recursive: true })
})

const program = join(import.meta.dirname, '../../src/cli/countersign.ts')
const command = () => [
  ...[program, 'reconcile', '--json'],
  ...['--config', join(service.ledgerFile, '../countersign.yaml')],
]
const identity = () => required(emulator.endpoints.environments['countersign']?.['app-service'])

function startWatching(): void {
  const files = ['--state', join(folder, 'reconciled'), '--metrics-file', metricsFile()]
  watcher = spawn(process.execPath, [...command(), '--watch', '--every', '1s', ...files], {
    env: { ...identity() },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  watcher.stdout?.on('data', (chunk: Buffer) => (told += chunk.toString()))
  watcher.stderr?.on('data', (chunk: Buffer) => (said += chunk.toString()))
}

const metricsFile = () => join(folder, 'reconcile.prom')

function metric(name: string): number {
  const [, value] = new RegExp(`^countersign_reconcile_${name} (\\S+)$`, 'm').exec(
    readFileSync(metricsFile(), 'utf8'),
  ) ?? [undefined, 'NaN']
  return Number(value)
}

async function until(holds: () => boolean): Promise<void> {
  const deadline = Date.now() + patienceMs
  while (!holds()) {
    if (Date.now() > deadline) throw new Error(`it never came to that: ${told}${said}`)
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

const isAnyAway = () => readFileSync(metricsFile(), 'utf8').includes('reason="log-unreadable"')

/** Rounds that read every log. */
async function rounds(count: number): Promise<void> {
  for (let round = 0; round < count; round += 1) {
    const before = metric('round_timestamp_seconds')
    await until(() => metric('round_timestamp_seconds') > before && !isAnyAway())
  }
}

const findings = () =>
  told
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as FindingBody)
    .map(({ event, finding }) => `${event} ${finding.kind}`)

/** But for logs that are away, which are there from the first table that has nothing yet. */
const changes = () => findings().filter((line) => !line.endsWith(' logs.unreadable'))

/** Of as many logs as there are: what is new, and not resolved. */
function awayIsTold(): boolean {
  const of = (event: string) =>
    findings().filter((line) => line === `${event} logs.unreadable`).length
  return of('finding.new') > of('finding.resolved')
}

async function signAsSomebodyElse(): Promise<void> {
  const value = createHash('sha256').update('anything').digest('base64url')
  const answer = await emulator.ask(
    'contoso-hsm',
    'POST /keys/partner-signing/sign?api-version=2025-07-01',
    {
      token: await emulator.token('build-agent'),
      body: { alg: 'PS256', value },
      headers: { 'content-type': 'application/json' },
    },
  )
  expect(answer.status).toBe(200)
}

async function registerForeignCertificate(): Promise<void> {
  const { der } = await createClientCertificate()
  await emulator.control('POST /applications/events/certificates', { cer: der.toString('base64') })
}

test(
  'tells of a rogue signature when its row has come, and not before',
  { timeout: 4 * patienceMs },
  async () => {
    await service.said('ready')
    await obtainToken(emulator, service)
    emulator.workspaceTables.flush()
    startWatching()

    // Of a table to which nothing has come nobody knows whether it is the right one.
    await until(() => said.includes('there is no AuditLogs'))
    expect(await reconciledOnce()).toMatchObject({
      status: 2,
      report: { verdict: 'undecided', auditLog: { unreadable: [{ code: 'LOG_TABLE_MISSING' }] } },
    })
    await registerForeignCertificate()
    emulator.workspaceTables.flush()
    await until(() => !awayIsTold() && changes().length > 0)
    expect(changes()).toEqual(['finding.new application.changed'])

    await signAsSomebodyElse()
    await rounds(2)
    expect(emulator.workspaceTables.heldBack()).toBeGreaterThan(0)
    expect(changes()).toHaveLength(1)
    emulator.workspaceTables.flush()
    await until(() => changes().length > 1)
    expect(changes()).toEqual(['finding.new application.changed', 'finding.new sign.unexplained'])

    // Whoever lost the right is told so, and goes on where it was when there is one again.
    emulator.logsQuery.letRead(workspaceId, [])
    await until(() => said.includes('no right to read') && awayIsTold())
    expect(await reconciledOnce()).toMatchObject({
      status: 2,
      report: { vaultLog: { unreadable: [{ code: 'LOG_FORBIDDEN' }] }, findings: [] },
    })
    emulator.logsQuery.letRead(workspaceId, ['countersign'])
    await rounds(1)
    await until(() => !awayIsTold())
    expect(changes()).toHaveLength(2)
    const { status, report } = await reconciledOnce()
    expect(status).toBe(1)
    expect(report.vaultLog.paths).toEqual([`AZKVAuditLogs of workspace ${workspaceId}`])
    expect(said).not.toMatch(/eyJ|at .*\.ts/)

    watcher?.kill('SIGTERM')
    expect((await once(required(watcher), 'close'))[0]).toBe(0)
  },
)

/** Not by `spawnSync`: the emulator is in this process. */
async function reconciledOnce() {
  const child = spawn(process.execPath, command(), {
    env: { ...identity() },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let stdout = ''
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()))
  const [status] = (await once(child, 'close')) as [number | null]
  return { status, report: JSON.parse(stdout) as Report }
}
