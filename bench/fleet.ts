import { startPostgres } from '../test/support/postgres.ts'
import { type BenchCloud, scope, type Server, tenantAt } from './cloud.ts'
import { requestBytes, runLoad } from './load.ts'
import type { Row } from './table.ts'

export interface FleetBenchOptions {
  readonly callers: number
  readonly tenants: number
}

const replicas = 3
/** One alone may have no more than 500 signatures waiting. */
const subjects = 10

/**
 * Callers at once over replicas that share one PostgreSQL, while nothing is cached: all for one tenant,
 * then over many, each of which is asked for on every replica.
 */
export async function fleetMeasure(
  cloud: BenchCloud,
  { callers, tenants }: FleetBenchOptions,
): Promise<readonly Row[]> {
  const server = await startPostgres()
  try {
    return [
      ...(await burst(cloud, await server.createDatabase(), callers, 1)),
      ...(await burst(cloud, await server.createDatabase(), callers, tenants)),
    ]
  } finally {
    await server.stop()
  }
}

async function burst(
  cloud: BenchCloud,
  database: string,
  callers: number,
  tenants: number,
): Promise<readonly Row[]> {
  const services = await Promise.all(
    Array.from({ length: replicas }, () => cloud.startService({ database })),
  )
  const callerTokens = await Promise.all(
    Array.from({ length: subjects }, (_, index) => cloud.callerToken(`repo:contoso/job-${index}`)),
  )
  const before = await cloud.seen()
  const startedMs = performance.now()
  const served = await askAll(services, callerTokens, callers, tenants)
  const seconds = (performance.now() - startedMs) / 1000
  const after = await cloud.seen()
  await Promise.all(services.map((service) => service.stop()))
  const signatures = after.signatures - before.signatures
  const exchanges = after.exchanges - before.exchanges
  const name = `cold burst of ${callers} callers on ${replicas} replicas, ${tenants} tenant${tenants === 1 ? '' : 's'}`
  const once = { bar: String(tenants), unit: '' }
  return [
    { measure: `${name}: signatures`, value: signatures, met: signatures === tenants, ...once },
    { measure: `${name}: exchanges`, value: exchanges, met: exchanges === tenants, ...once },
    {
      measure: `${name}: served`,
      value: served,
      unit: '',
      bar: String(callers),
      met: served === callers,
    },
    { measure: `${name}: until the last is answered`, value: seconds, unit: 's' },
  ]
}

/** Each is one connection with one request. How many were given a token. */
export async function askAll(
  services: readonly Server[],
  callerTokens: readonly string[],
  callers: number,
  tenants: number,
): Promise<number> {
  const requests = Array.from({ length: tenants }, (_, index) =>
    requestBytes(
      '/v1/token',
      { authorization: `Bearer ${callerTokens[index % callerTokens.length] ?? ''}` },
      JSON.stringify({ application: 'events', tenant: tenantAt(index), scope }),
    ),
  )
  const results = await Promise.all(
    services.map(({ port }, index) =>
      runLoad({
        host: '127.0.0.1',
        port,
        connections: Math.floor((callers + index) / services.length),
        requests,
        requestsPerConnection: 1,
        durationMs: 60_000,
      }),
    ),
  )
  return results.reduce((sum, { answered, refused }) => sum + answered - refused, 0)
}
