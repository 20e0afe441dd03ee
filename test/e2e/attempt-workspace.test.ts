import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createClientCertificate } from '../support/client-certificate.ts'
import type { TestEmulator } from '../support/emulator.ts'
import { required } from '../support/required.ts'
import { serveFrom, type Served } from '../support/served.ts'
import { startServiceEmulator } from '../support/test-service.ts'
import { obtainToken } from '../support/token-status.ts'
import { workspaceId } from '../support/workspace.ts'

/** `countersign attempt` over the logs that a configuration names: a workspace of Log Analytics, and a storage account. */

const program = join(import.meta.dirname, '../../src/cli/countersign.ts')

let emulator: TestEmulator
let service: Served
let running: ChildProcess[]
beforeEach(async () => {
  running = []
  // Nothing comes to the tables before it is let through.
  emulator = await startServiceEmulator(undefined, { vaultLog: { lateSecondsMax: 86_400 } })
  const place = () => ({ workspace: workspaceId, endpoint: emulator.endpoints.logsQuery })
  service = serveFrom(emulator, {
    configuration: (file) => ({
      ...file,
      reconcile: {
        sources: [
          { vaultLog: emulator.endpoints.vaultLogFolder },
          { vaultLog: place() },
          { signInLog: place() },
          { auditLog: place() },
        ],
      },
    }),
  })
  await service.said('ready')
})
afterEach(async () => {
  for (const child of running) child.kill('SIGKILL')
  await service.remove()
  await emulator.stop()
})

interface Story {
  readonly events: readonly {
    readonly from: string
    readonly what: string
    readonly joinedBy?: string
  }[]
  readonly notRead: readonly { readonly from: string; readonly why: string }[]
  readonly notLookedAt: readonly string[]
  readonly notFound: readonly object[]
  readonly lookedAt: { readonly fromMs: number; readonly toMs: number }
}

/** Not by `spawnSync`: the emulator is in this process. */
async function storyOf(attempt: string) {
  const file = join(service.ledgerFile, '../countersign.yaml')
  const child = spawn(process.execPath, [program, 'attempt', attempt, '--config', file, '--json'], {
    env: { ...required(emulator.endpoints.environments['countersign']?.['app-service']) },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  running.push(child)
  let stdout = ''
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()))
  const [code] = (await once(child, 'close')) as [number | null]
  const story = JSON.parse(stdout) as Story
  const records = story.events.filter(({ from }) => from !== 'ledger')
  return {
    code,
    story,
    records: records.map(({ from, joinedBy = 'nothing' }) => `${from} by ${joinedBy}`).toSorted(),
  }
}

const deliver = (): void => {
  emulator.vaultLog.flush()
  emulator.workspaceTables.flush()
}

test(
  'joins what came to a workspace beside what came to a storage account, each record once',
  { timeout: 120_000 },
  async () => {
    const attempt = await obtainToken(emulator, service)
    deliver()
    const early = await storyOf(attempt)
    const joined = ['signin-log by entra-trace-id', 'vault-log by x-ms-request-id']
    // Of a table to which nothing has come nobody knows whether it is the right one; the others are read all the same.
    expect(early).toMatchObject({ code: 2, records: joined })
    expect(early.story.notRead).toMatchObject([
      { from: 'audit-log', why: expect.stringContaining('there is no AuditLogs') as string },
    ])

    const { der } = await createClientCertificate()
    for (const application of ['events', 'deploy']) {
      const cer = der.toString('base64')
      await emulator.control(`POST /applications/${application}/certificates`, { cer })
    }
    deliver()
    const { code, story, records } = await storyOf(attempt)
    expect(code).toBe(0)
    // Of this attempt's application, and of no other.
    expect(records).toEqual(['audit-log by application', ...joined])
    expect(story).toMatchObject({ notRead: [], notLookedAt: [], notFound: [] })
    const hourMs = 3_600_000
    expect(story.lookedAt.toMs - story.lookedAt.fromMs).toBeLessThan(3 * hourMs)
  },
)

test(
  'tells what a storage account has, and that the tables are not there yet',
  { timeout: 120_000 },
  async () => {
    const attempt = await obtainToken(emulator, service)
    emulator.vaultLog.flush()
    const { records, story } = await storyOf(attempt)
    expect(records).toEqual(['vault-log by x-ms-request-id'])
    expect(story.notRead.map(({ from }) => from)).toEqual(['vault-log', 'signin-log', 'audit-log'])
    // What nobody could look for is not said to be missing.
    expect(story).toMatchObject({ notLookedAt: [], notFound: [] })
  },
)
