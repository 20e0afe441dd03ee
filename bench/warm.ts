import { type BenchCloud, scope, type Server, tenantAt } from './cloud.ts'
import { type LoadResult, requestBytes, runLoad } from './load.ts'
import { median, type Row } from './table.ts'

export interface WarmPlan {
  readonly rounds: number
  readonly durationMs: number
  readonly tenants: number
}

/** Connections at which every contender has reached its peak on two cores. */
const connections = 128

/** Seen: within half a second of 128 connections being opened, a bare server too is behind by 100 ms. */
const settleMs = 1000

/**
 * Warm tokens over HTTP: a bare server, ours with everything on (caller proven, grant decided, entry
 * durable, metrics), and what a user would write instead, at 1, 100 and all tenants in its cache.
 * Each round measures every contender once, so that a machine that slows down slows all of them.
 */
export async function warmMeasure(cloud: BenchCloud, plan: WarmPlan): Promise<readonly Row[]> {
  const callerToken = await cloud.callerToken()
  const requests = Array.from({ length: plan.tenants }, (_, index) =>
    requestBytes(
      '/v1/token',
      { authorization: `Bearer ${callerToken}` },
      JSON.stringify({ application: 'events', tenant: tenantAt(index), scope }),
    ),
  )
  const first = requests.slice(0, 1)
  const bare = await cloud.startBare(1100)
  const ours = await cloud.startService()
  // One peer for each number of tenants, because its cache only ever grows.
  const few = await cloud.startPeer()
  const some = await cloud.startPeer()
  const many = await cloud.startPeer()
  const hundred = requests.slice(0, 100)
  for (const [server, set] of [
    [ours, requests],
    [few, first],
    [some, hundred],
    [many, requests],
  ] as const) {
    await warmUp(server, set)
  }

  const contenders = {
    bare: [bare, first],
    ours: [ours, first],
    oursManyTenants: [ours, requests],
    peer1: [few, first],
    peer100: [some, hundred],
    peerMany: [many, requests],
  } as const
  const results: Record<keyof typeof contenders, LoadResult[]> = {
    bare: [],
    ours: [],
    oursManyTenants: [],
    peer1: [],
    peer100: [],
    peerMany: [],
  }
  const half: Record<'bare' | 'ours', LoadResult[]> = { bare: [], ours: [] }
  for (let round = 0; round < plan.rounds; round += 1) {
    for (const name of Object.keys(contenders) as (keyof typeof contenders)[]) {
      const [server, set] = contenders[name]
      results[name].push(await load(server, set, plan.durationMs))
    }
    for (const name of ['bare', 'ours'] as const) {
      const ratePerSecond = (results[name].at(-1)?.perSecond ?? 0) / 2
      half[name].push(await load(contenders[name][0], first, plan.durationMs, ratePerSecond))
    }
  }
  await Promise.all([bare, ours, few, some, many].map((server) => server.stop()))
  return rowsFrom(results, half, plan.tenants)
}

/** Fills caches one request at a time where a stampede would be unfair, and lets V8 compile. */
async function warmUp(server: Server, requests: readonly Buffer[]): Promise<void> {
  const plan = { host: '127.0.0.1', port: server.port }
  const filled = await runLoad({
    ...plan,
    connections: 1,
    requests,
    durationMs: 200 * requests.length ** 0.7 + 2000,
  })
  if (filled.answered < requests.length) throw new Error('the warm-up was too short')
  await runLoad({ ...plan, connections: 16, requests, durationMs: 1500 })
}

async function load(
  server: Server,
  requests: readonly Buffer[],
  durationMs: number,
  ratePerSecond?: number,
): Promise<LoadResult> {
  const result = await runLoad({
    host: '127.0.0.1',
    port: server.port,
    connections,
    requests,
    durationMs,
    settleMs,
    ...(ratePerSecond === undefined ? {} : { ratePerSecond }),
  })
  if (result.refused > 0) throw new Error(`${result.refused} answers were not 200`)
  return result
}

const limits = {
  toBare:
    'Beside what the bare server does: the canonical entry, its way to the thread that writes it and back (a third of ' +
    'what ours costs more), reading and checking the body, the answer as JSON, proving and deciding, and the memory ' +
    'that all of these take and leave. Entries are synced to the disk in groups, so the disk counts too.',
  p99:
    'Load generator, service, its ledger thread and the disk share the processors: what the bare server, which has no ' +
    'ledger, shows in the same run (above) is the part that is not ours. Ours waits for one sync of the disk besides.',
}

function rowsFrom(
  results: Readonly<
    Record<'bare' | 'ours' | 'oursManyTenants' | 'peer1' | 'peer100' | 'peerMany', LoadResult[]>
  >,
  half: Readonly<Record<'bare' | 'ours', LoadResult[]>>,
  tenants: number,
): readonly Row[] {
  const rate = (name: keyof typeof results) => median(results[name].map((one) => one.perSecond))
  /** Round by round, so that both sides of a ratio met the same machine. */
  const ratio = (a: keyof typeof results, b: keyof typeof results) =>
    median(results[a].map((one, index) => one.perSecond / (results[b][index]?.perSecond ?? 0)))
  const p99 = (name: 'bare' | 'ours') => median(half[name].map((one) => one.p99Ms))
  const toBare = ratio('ours', 'bare')
  const toPeer = ratio('oursManyTenants', 'peerMany')
  return [
    { measure: 'bare node:http POST', value: rate('bare'), unit: '/s' },
    { measure: 'ours, warm, 1 tenant', value: rate('ours'), unit: '/s' },
    { measure: `ours, warm, ${tenants} tenants`, value: rate('oursManyTenants'), unit: '/s' },
    { measure: 'Express + jose + msal-node, 1 tenant', value: rate('peer1'), unit: '/s' },
    { measure: 'Express + jose + msal-node, 100 tenants', value: rate('peer100'), unit: '/s' },
    {
      measure: `Express + jose + msal-node, ${tenants} tenants`,
      value: rate('peerMany'),
      unit: '/s',
    },
    {
      measure: 'ours / bare',
      value: toBare,
      unit: '',
      bar: '≥ 0.45',
      met: toBare >= 0.45,
      limit: limits.toBare,
    },
    {
      measure: `ours / user's own, ${tenants} tenants`,
      value: toPeer,
      unit: '×',
      bar: '≥ 15 ×',
      met: toPeer >= 15,
    },
    { measure: 'bare p99 at half of its peak', value: p99('bare'), unit: 'ms' },
    {
      measure: 'ours p99 at half of its peak',
      value: p99('ours'),
      unit: 'ms',
      bar: '≤ 10 ms and ≤ 2 × bare',
      met: p99('ours') <= 10 && p99('ours') <= 2 * p99('bare'),
      limit: limits.p99,
    },
  ]
}
