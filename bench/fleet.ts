import { fullestWindow, jainIndex } from '../test/support/lane-simulation.ts'
import { startPostgres } from '../test/support/postgres.ts'
import { type BenchCloud, scope, type Server, startCloud, tenantAt } from './cloud.ts'
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
 * Units that the service allows itself in any ten seconds: four fifths of what a vault does, by default.
 *
 * @see Azure Key Vault service limits, HSM keys.
 */
const vaultUnits = 1600

/**
 * Callers at once over replicas that share one PostgreSQL, while nothing is cached: all for one tenant,
 * then over many, each of which is asked for on every replica. The vault throttles as a real one does.
 */
export async function fleetMeasure({
  callers,
  tenants,
}: FleetBenchOptions): Promise<readonly Row[]> {
  const cloud = await startCloud({ tenants, scopes: 1, throttleScale: 1 })
  const server = await startPostgres()
  try {
    const rows = [
      ...(await burst(cloud, await server.createDatabase(), callers, 1)),
      ...(await burst(cloud, await server.createDatabase(), callers, tenants)),
    ]
    return [...rows, fullestTenSeconds(await cloud.keyUses())]
  } finally {
    await server.stop()
    await cloud.stop()
  }
}

function fullestTenSeconds(uses: Parameters<typeof fullestWindow>[0]): Row {
  const units = fullestWindow(uses)
  return {
    measure: `cold bursts on ${replicas} replicas: units in the fullest ten seconds of the vault's log`,
    value: units,
    unit: '',
    bar: `≤ ${vaultUnits}`,
    met: units <= vaultUnits,
  }
}

async function burst(
  cloud: BenchCloud,
  database: string,
  callers: number,
  tenants: number,
): Promise<readonly Row[]> {
  // By default, a share of what a vault allows.
  const sections = { governor: {} }
  const services = await Promise.all(
    Array.from({ length: replicas }, () => cloud.startService({ database, sections })),
  )
  const callerTokens = await Promise.all(
    Array.from({ length: subjects }, (_, index) => cloud.callerToken(`repo:contoso/job-${index}`)),
  )
  const before = await cloud.seen()
  const startedMs = performance.now()
  const { served, servedOf, waitsMs } = await askAll(services, callerTokens, callers, tenants)
  const seconds = (performance.now() - startedMs) / 1000
  const after = await cloud.seen()
  await Promise.all(services.map((service) => service.stop()))
  const signatures = after.signatures - before.signatures
  const exchanges = after.exchanges - before.exchanges
  const name = `cold burst of ${callers} callers on ${replicas} replicas, ${tenants} tenant${tenants === 1 ? '' : 's'}`
  const once = { bar: String(tenants), unit: '' }
  const fairness = jainIndex(waitsMs)
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
    {
      measure: `${name}: fairness of what each caller was given`,
      value: jainIndex(servedOf),
      unit: '',
    },
    {
      measure: `${name}: fairness of how long each waited`,
      value: fairness,
      unit: '',
      bar: '≥ 0.95',
      met: fairness >= 0.95,
    },
    { measure: `${name}: until the last is answered`, value: seconds, unit: 's' },
  ]
}

interface AllAsked {
  /** That were given a token. */
  readonly served: number
  /** Of each caller token. */
  readonly servedOf: readonly number[]
  /** Of each caller token: half of its requests on each replica were answered within that. */
  readonly waitsMs: readonly number[]
}

/** Each request is one connection; callers take turns, and each tenant is asked for on one replica after the other. */
export async function askAll(
  services: readonly Server[],
  callerTokens: readonly string[],
  requests: number,
  tenants: number,
): Promise<AllAsked> {
  const asked = await Promise.all(
    callerTokens.map(async (callerToken, caller) => {
      const own = Array.from({ length: requests }, (_, index) => index).filter(
        (index) => index % callerTokens.length === caller,
      )
      return askOf(services, callerToken, own, tenants)
    }),
  )
  return {
    served: asked.reduce((sum, { served }) => sum + served, 0),
    servedOf: asked.map(({ served }) => served),
    waitsMs: asked.map(({ waitMs }) => waitMs),
  }
}

async function askOf(
  services: readonly Server[],
  callerToken: string,
  indexes: readonly number[],
  tenants: number,
): Promise<{ readonly served: number; readonly waitMs: number }> {
  const results = await Promise.all(
    services.map(({ port }, replica) => {
      const requests = indexes
        .filter((index) => Math.floor(index / tenants) % services.length === replica)
        .map((index) => requestFor(callerToken, index % tenants))
      return runLoad({
        host: '127.0.0.1',
        port,
        connections: requests.length,
        requests,
        requestsPerConnection: 1,
        durationMs: 60_000,
      })
    }),
  )
  return {
    served: results.reduce((sum, { answered, refused }) => sum + answered - refused, 0),
    waitMs: results.reduce((sum, { p50Ms }) => sum + p50Ms / results.length, 0),
  }
}

const requestFor = (callerToken: string, tenant: number) =>
  requestBytes(
    '/v1/token',
    { authorization: `Bearer ${callerToken}` },
    JSON.stringify({ application: 'events', tenant: tenantAt(tenant), scope }),
  )
