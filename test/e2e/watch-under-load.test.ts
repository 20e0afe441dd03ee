import { type ChildProcess, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setImmediate, setTimeout as delay } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { mintOrderSchema } from '../../src/emulator/issuers/mint-order.ts'
import type { FindingBody } from '../../src/reconcile/rounds/finding-body.ts'
import { roundStateForm } from '../../src/reconcile/rounds/round-state.ts'
import type { TestEmulator } from '../support/emulator.ts'
import { exchanging, signing, strike } from '../support/faults.ts'
import {
  customerAt,
  forCustomers,
  grantsForCustomers,
  worldWithCustomers,
} from '../support/many-tenants.ts'
import { required } from '../support/required.ts'
import { serveFrom, type Served } from '../support/served.ts'
import { cast, startServiceEmulator } from '../support/test-service.ts'
import { expectedFindings } from '../support/torture/judge-signatures.ts'

/**
 * Thousands of requests for many tenants to a service whose vault fails and that is killed among them, a log that
 * comes late, twice and out of order, and `countersign reconcile --watch` beside it: it tells what the faults explain
 * and nothing else, and of one rogue signature in the first round behind the arrival of its record.
 */

const tenants = 150
const requests = 2400
/** Before the service is killed among the others. */
const requestsAtKill = requests - 60
const atOnce = 30
const patienceMs = 120_000

let folder: string
let emulator: TestEmulator
let service: Served
let watcher: ChildProcess
/** As they were printed. */
let told: FindingBody[]
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'countersign-load-'))
  told = []
  emulator = await startServiceEmulator(worldWithCustomers(tenants), {
    vaultLog: { lateSecondsMax: 3, disorder: 0.3, duplicates: 0.3 },
  })
  service = serveFrom(emulator, {
    configuration: (file) => ({
      ...forCustomers(tenants)(file),
      reconcile: {
        sources: [{ vaultLog: emulator.endpoints.vaultLogFolder }],
        graceMinutes: 0,
      },
    }),
    grants: grantsForCustomers,
  })
  watcher = startWatching()
})
afterEach(async () => {
  watcher.kill('SIGKILL')
  await service.remove()
  await emulator.stop()
  rmSync(folder, { recursive: true })
})

const stateFile = () => join(folder, 'reconciled')

function startWatching(): ChildProcess {
  const child = spawn(
    process.execPath,
    [
      join(import.meta.dirname, '../../src/cli/countersign.ts'),
      ...['reconcile', '--config', join(service.ledgerFile, '../countersign.yaml')],
      ...['--watch', '--every', '2s', '--json', '--state', stateFile()],
    ],
    { env: {}, stdio: ['ignore', 'pipe', 'ignore'] },
  )
  createInterface({ input: child.stdout }).on('line', (line) => {
    told.push(JSON.parse(line) as FindingBody)
  })
  return child
}

/** Faults that strike some in a hundred, as long as there are requests. */
function makeItFail(): void {
  const often = { times: 10_000, probability: 0.01 }
  strike(emulator, { ...signing, ...often, kind: 'drop-after' })
  strike(emulator, { ...signing, ...often, kind: 'server-error-after' })
  strike(emulator, { ...signing, ...often, kind: 'wrong-signature' })
  strike(emulator, { ...signing, ...often, kind: 'drop-before' })
  strike(emulator, { ...signing, ...often, kind: 'throttle' })
  strike(emulator, { ...exchanging, ...often, kind: 'drop-after' })
}

/** Asks in turn for a token and for an assertion of each tenant; what is declined is declined. */
async function ask(origin: string, index: number): Promise<number> {
  const issuer = required(emulator.issuers.find('github'))
  // One is good for the assertions of one application and tenant.
  const callerToken = await issuer.mint(mintOrderSchema.parse({ audience: cast.publicUrl }))
  const tenant = customerAt(index % tenants)
  const isToken = Math.floor(index / tenants) % 4 === 0
  const wanted = isToken
    ? { application: 'events', tenant, scope: cast.orders }
    : { application: 'deploy', tenant }
  const answer = await fetch(`${origin}/v1/${isToken ? 'token' : 'assertion'}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${callerToken}`, 'content-type': 'application/json' },
    body: JSON.stringify(wanted),
  })
  await answer.arrayBuffer()
  return answer.status
}

/** @returns How many had each status; 0: no answer, because the service was killed. */
async function load(): Promise<ReadonlyMap<number, number>> {
  const origin = await service.origin()
  const statuses = new Map<number, number>()
  let asked = 0
  const client = async () => {
    while (asked < requests) {
      asked += 1
      const answering = ask(origin, asked).catch(() => 0)
      if (asked === requestsAtKill) service.signal('SIGKILL')
      const status = await answering
      statuses.set(status, (statuses.get(status) ?? 0) + 1)
    }
  }
  await Promise.all(Array.from({ length: atOnce }, client))
  return statuses
}

/** Resolves when it holds, asked again and again. */
async function until(holds: () => boolean, why: () => unknown): Promise<void> {
  const deadline = Date.now() + patienceMs
  for (;;) {
    // What was printed is heard before anybody looks.
    await setImmediate()
    if (holds()) return
    if (Date.now() > deadline) throw new Error(`it never came to that: ${JSON.stringify(why())}`)
    await delay(20)
  }
}

/** What was told and not taken back, by kind and the vault's id of its record. */
function standing(): ReadonlyMap<string, string> {
  const open = new Map<string, string>()
  for (const { event, finding } of told) {
    if (event === 'finding.new') open.set(finding.id, `${finding.kind} ${vaultIdIn(finding)}`)
    else open.delete(finding.id)
  }
  return open
}

const vaultIdIn = ({ facts }: FindingBody['finding']): string =>
  facts.map(({ value }) => guid.exec(value)?.[0]).find((id) => ids().has(id ?? '')) ?? ''
const guid = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/
const ids = (): ReadonlySet<string> =>
  new Set(emulator.vaultLog.records().map(({ correlationId }) => correlationId))

/** When the newest round that came to its end began, as the watch remembers it. */
const lastRoundAtMs = (): number =>
  roundStateForm.parse(JSON.parse(readFileSync(stateFile(), 'utf8'))).lastRound?.atMs ?? 0

interface EndedRound {
  readonly beganAtMs: number
  /** How much was told before it came to its end: of what it found itself it tells afterwards. */
  readonly toldBefore: number
}

/** Rounds that began from then on and came to their end, so many: no two are so close that one is passed over. */
async function roundsAfter(atMs: number, count: number): Promise<readonly EndedRound[]> {
  const rounds = new Map<number, EndedRound>()
  // At the look before, when the round had not come to its end.
  let toldBefore = 0
  const look = () => {
    const beganAtMs = lastRoundAtMs()
    if (beganAtMs > atMs && !rounds.has(beganAtMs)) rounds.set(beganAtMs, { beganAtMs, toldBefore })
    toldBefore = told.length
    return rounds.size === count
  }
  await until(look, () => [...rounds.keys()])
  return [...rounds.values()]
}

const isDelivered = (id: string): boolean =>
  globSync('**/PT1H.json', { cwd: emulator.endpoints.vaultLogFolder }).some((blob) =>
    readFileSync(join(emulator.endpoints.vaultLogFolder, blob), 'utf8').includes(id),
  )

async function signBehindItsBack(): Promise<string> {
  const keyId = service
    .entries()
    .flatMap((entry) => (entry.kind === 'signature.begun' ? entry.keyId : []))[0]
  const answer = await emulator.ask(
    'contoso-hsm',
    `POST ${new URL(required(keyId)).pathname}/sign?api-version=2025-07-01`,
    {
      token: await emulator.token('build-agent'),
      body: { alg: 'PS256', value: createHash('sha256').update('anything').digest('base64url') },
      headers: { 'content-type': 'application/json' },
    },
  )
  expect(answer.status).toBe(200)
  return String(answer.headers['x-ms-request-id'])
}

test(
  'of thousands of requests whoever keeps watch finds what faults explain, and in the next round one rogue signature',
  { timeout: 4 * patienceMs },
  async () => {
    await service.said('ready')
    makeItFail()
    const statuses = await load()
    await service.ended
    emulator.faults.clear()
    emulator.vaultLog.flush()
    expect(statuses.get(200)).toBeGreaterThan(requests / 2)
    // The faults were heard of, and the kill.
    expect(statuses.get(0)).toBeGreaterThan(0)
    expect([...statuses.keys()].some((status) => status >= 500)).toBe(true)

    const entries = service.entries()
    const explained = [...expectedFindings(entries, emulator.vaultLog.records())]
    expect(new Set(explained.map(([, kind]) => kind))).toEqual(new Set(['sign.assumed']))
    expect(explained.length).toBeGreaterThan(10)
    expect(entries.filter(({ kind }) => kind === 'signature.made').length).toBeGreaterThan(1000)
    const expected = explained.map(([id, kind]) => `${kind} ${id}`).toSorted()
    const isAsExpected = () => [...standing().values()].toSorted().join() === expected.join()
    await until(isAsExpected, () => ({ standing: [...standing().values()], expected }))
    await roundsAfter(Date.now(), 1)
    expect([...standing().values()].toSorted()).toEqual(expected)

    const toldBefore = told.length
    const rogue = await signBehindItsBack()
    emulator.vaultLog.flush()
    expect(isDelivered(rogue)).toBe(true)
    const arrivedAtMs = Date.now()
    const [, next] = await roundsAfter(arrivedAtMs, 3)
    const more = told.slice(toldBefore)
    expect(
      more.map(({ event, finding }) => `${event} ${finding.kind} ${vaultIdIn(finding)}`),
    ).toEqual([`finding.new sign.unexplained ${rogue}`])
    // By the first round that began behind its arrival, if not by one that was under way.
    expect(next?.toldBefore).toBe(told.length)
  },
)
