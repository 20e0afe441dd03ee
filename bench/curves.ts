import { query, startPostgres } from '../test/support/postgres.ts'
import { type BenchCloud, scopeAt, type Service, tenantAt } from './cloud.ts'
import type { Curve } from './curve.ts'
import { askAll } from './fleet.ts'
import { requestBytes, runLoad } from './load.ts'
import { fill, shuffled } from './many-tokens.ts'
import { cpuSeconds } from './process-facts.ts'
import { median } from './table.ts'

export interface CurvesPlan {
  readonly rounds: number
  readonly durationMs: number
  /** Of the cloud; more tokens than that are of several scopes. */
  readonly tenants: number
  /** The most that are cached. */
  readonly tokens: number
}

/** Connections at which the service has reached its peak on two cores. */
const usualConnections = 128

/** How rate and cost of warm tokens change with how many there are of everything that there may be many of. */
export async function curvesMeasure(
  cloud: BenchCloud,
  plan: CurvesPlan,
): Promise<readonly Curve[]> {
  return [
    await tokensCurve(cloud, plan),
    await connectionsCurve(cloud, plan),
    await callersCurve(cloud, plan),
    await grantsCurve(cloud, plan),
    await replicasCurve(cloud, plan),
  ]
}

/** One load on services that are running. */
interface Point {
  readonly x: number
  readonly services: readonly Service[]
  readonly requests: readonly Buffer[]
  readonly connections: number
}

interface Measured {
  readonly perSecond: number
  readonly p99Ms: number
  /** Of all services together. */
  readonly cpuMicroseconds: number
}

async function tokensCurve(cloud: BenchCloud, plan: CurvesPlan): Promise<Curve> {
  const callerToken = await cloud.callerToken()
  const counts = [1, 10, 100, 1000, 10_000, 100_000].filter((count) => count <= plan.tokens)
  const points: Point[] = []
  for (const count of counts) {
    const requests = Array.from({ length: count }, (_, index) =>
      tokenRequest(callerToken, index % plan.tenants, Math.floor(index / plan.tenants)),
    )
    points.push(await filledPoint(count, await cloud.startService(), requests))
  }
  const measured = await interleaved(points, plan)
  return {
    name: 'tokens',
    title: 'Tokens in the cache, one for each tenant (and scope)',
    xTitle: 'tokens in the cache',
    xs: counts,
    series: rateAndCost(measured),
  }
}

async function connectionsCurve(cloud: BenchCloud, plan: CurvesPlan): Promise<Curve> {
  const xs = [1, 4, 16, 64, 256, 1000]
  const request = tokenRequest(await cloud.callerToken(), 0)
  const services = [await cloud.startService()]
  const points = xs.map((x) => ({ x, services, requests: [request], connections: x }))
  const measured = await interleaved(points, plan)
  return {
    name: 'connections',
    title: 'Callers that ask at the same time, each over a connection of its own',
    xTitle: 'connections',
    xs,
    series: [
      ...rateAndCost(measured),
      { title: 'p99, ms', values: measured.map(({ p99Ms }) => p99Ms) },
    ],
  }
}

async function callersCurve(cloud: BenchCloud, plan: CurvesPlan): Promise<Curve> {
  const xs = [1, 10, 100, 1000]
  const callerTokens = await Promise.all(
    Array.from({ length: 1000 }, (_, index) => cloud.callerToken(`repo:contoso/job-${index}`)),
  )
  const requests = callerTokens.map((callerToken) => tokenRequest(callerToken, 0))
  const services = [await cloud.startService()]
  const points = xs.map((x) => ({
    x,
    services,
    requests: requests.slice(0, x),
    connections: usualConnections,
  }))
  return {
    name: 'callers',
    title: 'Callers, each with a token of its own',
    xTitle: 'distinct caller tokens',
    xs,
    series: rateAndCost(await interleaved(points, plan)),
  }
}

async function grantsCurve(cloud: BenchCloud, plan: CurvesPlan): Promise<Curve> {
  const xs = [1, 100, 1000, 10_000]
  const request = tokenRequest(await cloud.callerToken(), 0)
  const points: Point[] = []
  for (const x of xs) {
    points.push(await filledPoint(x, await cloud.startService({ grants: x }), [request]))
  }
  const startedMs = points.map(({ services: [service] }) => service?.readyMs ?? Number.NaN)
  return {
    name: 'grants',
    title: 'Grants in the policy, each in a file of its own',
    xTitle: 'grants',
    xs,
    series: [
      ...rateAndCost(await interleaved(points, plan)),
      { title: 'start to ready, ms', values: startedMs },
    ],
  }
}

const replicaCounts = [1, 2, 3]
/** Asked for on every replica while none has them. */
const coldTenantsMax = 100
/** One caller alone may have no more than 500 signatures waiting. */
const subjects = 10

async function replicasCurve(cloud: BenchCloud, plan: CurvesPlan): Promise<Curve> {
  const server = await startPostgres()
  try {
    const callerTokens = await Promise.all(
      Array.from({ length: subjects }, (_, index) =>
        cloud.callerToken(`repo:contoso/job-${index}`),
      ),
    )
    const tenants = Math.min(coldTenantsMax, plan.tenants)
    const groups: ReplicaGroup[] = []
    for (const x of replicaCounts) {
      groups.push(await startGroup(cloud, await server.createDatabase(), x, callerTokens, tenants))
    }
    const entries: number[][] = groups.map(() => [])
    for (let round = 0; round < plan.rounds; round += 1) {
      for (const [index, group] of groups.entries()) {
        entries[index]?.push(await entriesPerSecond(group, plan.durationMs))
      }
    }
    await stopAll(groups)
    return {
      name: 'replicas',
      title: 'Replicas on one PostgreSQL',
      xTitle: 'replicas',
      xs: replicaCounts,
      series: [
        { title: 'ledger entries per second, of all replicas', values: entries.map(median) },
        {
          title: `signatures per tenant, cold, ${tenants} tenants asked for on every replica`,
          values: groups.map(({ signaturesPerTenant }) => signaturesPerTenant),
        },
      ],
    }
  } finally {
    await server.stop()
  }
}

interface ReplicaGroup extends Point {
  readonly database: string
  readonly signaturesPerTenant: number
}

async function startGroup(
  cloud: BenchCloud,
  database: string,
  x: number,
  callerTokens: readonly string[],
  tenants: number,
): Promise<ReplicaGroup> {
  const services = await Promise.all(
    Array.from({ length: x }, () => cloud.startService({ database })),
  )
  const before = await cloud.seen()
  const { served } = await askAll(services, callerTokens, tenants * x, tenants)
  const after = await cloud.seen()
  if (served !== tenants * x) throw new Error(`${served} of ${tenants * x} were served`)
  const requests = callerTokens.map((callerToken, index) => tokenRequest(callerToken, index))
  const signaturesPerTenant = (after.signatures - before.signatures) / tenants
  return { x, services, requests, connections: usualConnections, database, signaturesPerTenant }
}

/** By the ledger's own count: one for each token that was given, and nothing else is asked for. */
async function entriesPerSecond(group: ReplicaGroup, durationMs: number): Promise<number> {
  const startedMs = performance.now()
  const before = await tipOf(group.database)
  await loaded(group, durationMs)
  const after = await tipOf(group.database)
  return ((after - before) / (performance.now() - startedMs)) * 1000
}

async function tipOf(database: string): Promise<number> {
  const [row] = await query(database, 'SELECT sequence FROM countersign.tip')
  return Number(row?.['sequence'])
}

/** Fills it once, so that all of it is warm and V8 has compiled. */
async function filledPoint(
  x: number,
  service: Service,
  requests: readonly Buffer[],
): Promise<Point> {
  await fill(service, requests)
  return { x, services: [service], requests: shuffled(requests), connections: usualConnections }
}

/** Every point once in each round, so that a machine that slows down slows all of them; then all services end. */
async function interleaved(
  points: readonly Point[],
  { rounds, durationMs }: CurvesPlan,
): Promise<readonly Measured[]> {
  for (const point of points) await loaded(point, durationMs)
  const results = points.map((): Measured[] => [])
  for (let round = 0; round < rounds; round += 1) {
    for (const [index, point] of points.entries()) {
      results[index]?.push(await loaded(point, durationMs))
    }
  }
  await stopAll(points)
  return results.map((ofPoint) => ({
    perSecond: median(ofPoint.map(({ perSecond }) => perSecond)),
    p99Ms: median(ofPoint.map(({ p99Ms }) => p99Ms)),
    cpuMicroseconds: median(ofPoint.map(({ cpuMicroseconds }) => cpuMicroseconds)),
  }))
}

async function loaded(point: Point, durationMs: number): Promise<Measured> {
  const { services, requests, connections } = point
  const cpu = () => services.reduce((sum, { pid }) => sum + cpuSeconds(pid), 0)
  const before = cpu()
  const results = await Promise.all(
    services.map(({ port }) =>
      runLoad({
        host: '127.0.0.1',
        port,
        connections: Math.ceil(connections / services.length),
        requests,
        durationMs,
      }),
    ),
  )
  const refused = results.reduce((sum, one) => sum + one.refused, 0)
  if (refused > 0) throw new Error(`${refused} answers were not 200`)
  const answered = results.reduce((sum, one) => sum + one.answered, 0)
  return {
    perSecond: results.reduce((sum, { perSecond }) => sum + perSecond, 0),
    p99Ms: Math.max(...results.map(({ p99Ms }) => p99Ms)),
    cpuMicroseconds: ((cpu() - before) / answered) * 1e6,
  }
}

async function stopAll(points: readonly Point[]): Promise<void> {
  const services = new Set(points.flatMap((point) => point.services))
  await Promise.all([...services].map((service) => service.stop()))
}

const rateAndCost = (measured: readonly Measured[]) => [
  { title: 'answers per second', values: measured.map(({ perSecond }) => perSecond) },
  {
    title: 'CPU of the service, µs per answer',
    values: measured.map(({ cpuMicroseconds }) => cpuMicroseconds),
  },
]

const tokenRequest = (callerToken: string, tenant: number, scope = 0) =>
  requestBytes(
    '/v1/token',
    { authorization: `Bearer ${callerToken}` },
    JSON.stringify({ application: 'events', tenant: tenantAt(tenant), scope: scopeAt(scope) }),
  )
