import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { parseHead } from '../../src/custody/head.ts'
import type { TestEmulator } from '../support/emulator.ts'
import { createTestHeadKey } from '../support/heads.ts'
import { changeFile } from '../support/ledger-store.ts'
import { required } from '../support/required.ts'
import { serveFrom, type Served } from '../support/served.ts'
import { cast, serviceWorld, startServiceEmulator } from '../support/test-service.ts'
import { obtainToken } from '../support/token-status.ts'
import { workspaceId } from '../support/workspace.ts'

/** `ledger verify` of a ledger whose heads came to a workspace with the entries that were exported. */

const { immutableId: rule } = required(serviceWorld.collectionRules[0])
const program = join(import.meta.dirname, '../../src/cli/countersign.ts')
const table = 'CountersignLedger_CL'
const patienceMs = 60_000

let emulator: TestEmulator
let service: Served
let running: ChildProcess[]
beforeEach(async () => {
  running = []
  emulator = await startServiceEmulator()
  const workspace = () => ({ workspace: workspaceId, endpoint: emulator.endpoints.logsQuery })
  service = serveFrom(emulator, {
    configuration: (file) => ({
      ...file,
      heads: {
        key: { vault: emulator.vaultUrl('contoso-hsm'), name: 'ledger-heads' },
        everySeconds: 10,
        anchors: [workspace()],
      },
      export: { logAnalytics: { endpoint: emulator.endpoints.logsIngestion, rule } },
    }),
  })
  await service.said('ready')
})
afterEach(async () => {
  for (const child of running) child.kill('SIGKILL')
  await service.remove()
  await emulator.stop()
})

const sentHeads = () =>
  (emulator.workspaceTables.table(table) ?? []).filter(
    ({ cells }) => cells['Kind'] === 'head.signed',
  )

/** One that stands for that entry. */
async function headCame(sequence: number): Promise<void> {
  const deadline = Date.now() + patienceMs
  const isFor = (head: string) => (JSON.parse(head) as { sequence: number }).sequence >= sequence
  while (!sentHeads().some(({ cells }) => isFor(String(cells['Entry'])))) {
    if (Date.now() > deadline) throw new Error('no head came to the workspace')
    await pause(200)
  }
}

/** Not by `spawnSync`: the emulator is in this process. */
async function verify(...options: readonly string[]) {
  const file = join(service.ledgerFile, '../countersign.yaml')
  const args = options.length > 0 ? options : ['--config', file]
  const child = spawn(process.execPath, [program, 'ledger', 'verify', ...args], {
    env: { ...required(emulator.endpoints.environments['countersign']?.['app-service']) },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  running.push(child)
  let said = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => (said += chunk.toString()))
  }
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, said }
}

/** Whoever has the role on the collection rule can do that. */
function sendRow(cells: Readonly<Record<string, unknown>>): void {
  const time = new Date(emulator.clock.nowMs()).toISOString()
  emulator.workspaceTables.row(table, { TimeGenerated: time, Kind: 'head.signed', ...cells })
}

test(
  'holds a ledger to the heads in a workspace, which rows of others do not change',
  { timeout: 240_000 },
  async () => {
    await obtainToken(emulator, service)
    await headCame(1)
    const keyOnRecord = service.entries().findIndex(({ kind }) => kind === 'head.key-loaded') + 1
    await headCame(keyOnRecord + 1)
    const sound = await verify()
    expect(sound).toMatchObject({ code: 0 })
    expect(sound.said).toMatch(
      new RegExp(`^  workspace  ${table} of workspace ${workspaceId}: \\d+ of its heads fit`, 'm'),
    )
    expect(sound.said).toMatch(/^Proven unrewritten up to entry \d+ since its head came to the w/m)
    // Nobody is asked, and nothing is claimed.
    const alone = await verify('--ledger', service.ledgerFile)
    expect(alone.said).toContain('Self-consistent, not proven unrewritten')

    const head = required(sentHeads()[0]).cells
    sendRow({ Deployment: cast.publicUrl, Sequence: 1, Entry: '{"head":"made.up.head"}' })
    sendRow({ ...head, Deployment: 'https://other.example' })
    const beside = await verify()
    expect(beside).toMatchObject({ code: 0 })
    expect(beside.said).toContain('1 line without a head')

    const { head: compact } = JSON.parse(String(head['Entry'])) as { head: string }
    const { statement } = required(parseHead(compact))
    const farOff = createTestHeadKey().head({ ...statement, sequence: 1_000_000_000 })
    sendRow({
      Deployment: cast.publicUrl,
      Sequence: 1,
      Entry: JSON.stringify({ head: farOff }),
    })
    const added = await verify()
    expect(added).toMatchObject({ code: 2 })
    expect(added.said).toContain('1 heads are signed with a key that is not on record here')

    // The end is cut off, with the heads that are in the ledger: what is left is whole by itself.
    service.signal('SIGTERM')
    await service.ended
    changeFile(service.ledgerFile, `DELETE FROM entry WHERE sequence > ${keyOnRecord}`)
    const cut = await verify()
    expect(cut).toMatchObject({ code: 1 })
    expect(cut.said).toMatch(/^DAMAGED: /)
    expect(cut.said).toContain(`kept in ${table} of workspace ${workspaceId}`)
    expect((await verify('--ledger', service.ledgerFile)).code).toBe(0)

    emulator.logsQuery.letRead(workspaceId, [])
    const refused = await verify()
    expect(refused).toMatchObject({ code: 2 })
    expect(refused.said).toContain(`no right to read ${table} of workspace ${workspaceId}`)
  },
)
