import { readFileSync } from 'node:fs'
import { createSeededRandom } from '../src/emulator/random.ts'
import { required } from '../test/support/required.ts'
import { type BenchCloud, scopeAt, type Server, tenantAt } from './cloud.ts'
import { requestBytes, runLoad } from './load.ts'
import { cpuSeconds } from './process-facts.ts'
import { median, type Row } from './table.ts'

export interface ManyTokensPlan {
  readonly rounds: number
  readonly durationMs: number
  readonly tenants: number
  /** For each tenant. */
  readonly scopes: number
}

/** Connections at which the service has reached its peak on two cores. */
const connections = 128
/** Fills one tenant after the other, so that a young signature serves its scopes. */
const fillConnections = 16

/**
 * Warm tokens over HTTP with one token in the cache and with one for each tenant and scope, round by
 * round in one service, asked for in no order; and what memory that takes, at most, from its start on.
 */
export async function manyTokens(cloud: BenchCloud, plan: ManyTokensPlan): Promise<readonly Row[]> {
  const callerToken = await cloud.callerToken()
  const requests = Array.from({ length: plan.tenants * plan.scopes }, (_, index) =>
    requestBytes(
      '/v1/token',
      { authorization: `Bearer ${callerToken}` },
      JSON.stringify({
        application: 'events',
        tenant: tenantAt(Math.floor(index / plan.scopes)),
        scope: scopeAt(index % plan.scopes),
      }),
    ),
  )
  const service = await cloud.startService()
  const one = requests.slice(0, 1)
  // V8 compiles before anything is measured.
  await load(service, one, 3000)
  const before = await cloud.seen()
  const fillSeconds = await fill(service, requests)
  const signatures = (await cloud.seen()).signatures - before.signatures

  const all = shuffled(requests)
  const sameAgain = copiesOf(one, all.length)
  const ofOne: Warm[] = []
  const ofAll: Warm[] = []
  for (let round = 0; round < plan.rounds; round += 1) {
    ofOne.push(await load(service, sameAgain, plan.durationMs))
    ofAll.push(await load(service, all, plan.durationMs))
  }
  const megabytes = peakMegabytes(service.pid)
  await service.stop()
  return rowsFrom(plan, { fillSeconds, signatures, megabytes, ofOne, ofAll })
}

/**
 * Bytes of their own for each: who sends so many different requests reads them from memory, and who sends
 * one has it in the processor's cache, which would count against the service that shares the processor.
 */
const copiesOf = ([request]: readonly Buffer[], count: number): readonly Buffer[] =>
  Array.from({ length: count }, () => Buffer.from(required(request)))

/** Asks once for each, so that all are cached; resolves with the seconds that it took. */
export async function fill(service: Server, requests: readonly Buffer[]): Promise<number> {
  const startedMs = performance.now()
  const { answered, refused } = await runLoad({
    host: '127.0.0.1',
    port: service.port,
    connections: fillConnections,
    requests,
    requestsPerConnection: Math.ceil(requests.length / fillConnections),
    durationMs: 30 * 60_000,
  })
  if (answered < requests.length || refused > 0) {
    throw new Error(`${answered} of ${requests.length} were filled, ${refused} refused`)
  }
  return (performance.now() - startedMs) / 1000
}

interface Warm {
  readonly perSecond: number
  /** Of the service, for each answer. */
  readonly cpuMicroseconds: number
}

async function load(
  service: Server,
  requests: readonly Buffer[],
  durationMs: number,
): Promise<Warm> {
  const before = cpuSeconds(service.pid)
  const { perSecond, answered, refused } = await runLoad({
    host: '127.0.0.1',
    port: service.port,
    connections,
    requests,
    durationMs,
  })
  if (refused > 0) throw new Error(`${refused} answers were not 200`)
  return { perSecond, cpuMicroseconds: ((cpuSeconds(service.pid) - before) / answered) * 1e6 }
}

export function shuffled<T>(items: readonly T[]): readonly T[] {
  const random = createSeededRandom(1)
  return items
    .map((item) => ({ item, rank: random.next() }))
    .toSorted((a, b) => a.rank - b.rank)
    .map(({ item }) => item)
}

/** Most that the process has had in memory, by the kernel's count (proc_pid_status(5), VmHWM). */
function peakMegabytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024
}

function rowsFrom(
  { tenants, scopes }: ManyTokensPlan,
  measured: {
    readonly fillSeconds: number
    readonly signatures: number
    readonly megabytes: number
    /** Round by round. */
    readonly ofOne: readonly Warm[]
    readonly ofAll: readonly Warm[]
  },
): readonly Row[] {
  const name = `${tenants} tenants × ${scopes} scopes`
  const { megabytes, ofOne, ofAll } = measured
  const ratio = median(ofAll.map((all, round) => all.perSecond / required(ofOne[round]).perSecond))
  const cpu = (rounds: readonly Warm[]) => median(rounds.map((one) => one.cpuMicroseconds))
  return [
    { measure: `${name}: filled in`, value: measured.fillSeconds, unit: 's' },
    { measure: `${name}: signatures for that`, value: measured.signatures, unit: '' },
    { measure: `${name}: warm`, value: median(ofAll.map((one) => one.perSecond)), unit: '/s' },
    { measure: `${name}: CPU of the service for each answer`, value: cpu(ofAll), unit: 'µs' },
    { measure: `the same of one of these tokens`, value: cpu(ofOne), unit: 'µs' },
    {
      measure: `${name}: warm / warm with one token`,
      value: ratio,
      unit: '',
      bar: '≥ 0.9',
      met: ratio >= 0.9,
    },
    {
      measure: `${name}: memory at its peak`,
      value: megabytes,
      unit: 'MB',
      bar: '≤ 512 MB',
      met: megabytes <= 512,
    },
  ]
}
