import { setTimeout as delay } from 'node:timers/promises'
import { Agent, request } from 'undici'
import { createSeededRandom } from '../src/emulator/random.ts'
import { type BenchCloud, scope, type Service, startCloud, tenantAt } from './cloud.ts'
import { type LoadResult, requestBytes, runLoad } from './load.ts'
import { fill } from './many-tokens.ts'
import { askObeying, type Obeyed, type Said } from './obeying-client.ts'
import { metricsOf } from './service-metrics.ts'
import { formatted, median, type Row } from './table.ts'

/** Those that are asked for all the time; each is refreshed about every minute. */
const warmTenants = 200
/** Of new tenants, a second: a quarter of what the service allows itself, and twice what is left of it. */
const coldPerSecond = 40
/** Some to spare: a busy machine takes longer over its slices. */
const coldTenants = 6000
const tokenSeconds = 120
const tokenCache = { minRemainingSeconds: 30, refreshAheadSeconds: 60 }

/** Before and again after: a machine changes, and what is compared must have met both of its sides. */
const besideSeconds = 30
const throttledSeconds = 60
const throttledScale = 0.1
/** A client whose answer is worth nothing later than that. */
const patienceMs = 60_000
/** Latencies are looked at in slices, so that one hiccup of the machine is one slice. */
const sliceMs = 5000
/** Of each slice before it is measured: what its connections cost when they are opened would be its p99, whatever a vault does. */
const settleMs = 1000
const connections = 64
/** As many as may wait for one vault. */
const waitingMax = 2000
/** One caller alone may have no more than 500 signatures waiting. */
const subjects = 20

/**
 * The vault is throttled to a tenth of its budget for a minute, while warm tokens are asked for at half of
 * the service's own peak, tokens end and are refreshed, and new clients come for new tenants all the time.
 */
export async function throttledMeasure(): Promise<readonly Row[]> {
  const cloud = await startCloud({
    tenants: warmTenants + coldTenants,
    scopes: 1,
    tokenSeconds,
    throttleScale: 1,
  })
  try {
    // By default, a share of what a vault allows.
    const service = await cloud.startService({ sections: { tokenCache, governor: {} } })
    const rows = rowsFrom(await measure(cloud, service))
    await service.stop()
    return rows
  } finally {
    await cloud.stop()
  }
}

interface Measured {
  /** Before the vault was throttled, and after. */
  readonly beside: readonly LoadResult[]
  readonly during: readonly LoadResult[]
  /** Of the clients that came while the vault was throttled. */
  readonly clients: readonly Obeyed[]
  /** That waited for a signature, sampled every second. */
  readonly mostWaiting: number
  /** Half a minute after the last of these clients had its answer, while others still come. */
  readonly waitingAfter: number
}

async function measure(cloud: BenchCloud, service: Service): Promise<Measured> {
  const callerTokens = await Promise.all(
    Array.from({ length: subjects }, (_, index) => cloud.callerToken(`repo:contoso/job-${index}`)),
  )
  const callerToken = (index: number) => callerTokens[index % subjects] ?? ''
  const warm = Array.from({ length: warmTenants }, (_, index) =>
    requestBytes('/v1/token', { authorization: `Bearer ${callerToken(index)}` }, bodyFor(index)),
  )
  await fill(service, warm)
  const target = { host: '127.0.0.1', port: service.port, connections, requests: warm }
  await runLoad({ ...target, durationMs: 2000 })
  const peak = await runLoad({ ...target, durationMs: 2000 })
  const slices = (seconds: number) =>
    inTurn(Math.ceil((seconds * 1000) / (settleMs + sliceMs)), () =>
      runLoad({ ...target, settleMs, durationMs: sliceMs, ratePerSecond: peak.perSecond / 2 }),
    )

  const clients = newClients(service.port, callerToken)
  const waiting = watchWaiting(service.port)
  clients.come()
  const before = await slices(besideSeconds)
  const cameBefore = clients.outcomes.length
  await cloud.control('POST /vaults/bench-hsm/throttle', { scale: throttledScale })
  const during = await slices(throttledSeconds)
  await cloud.control('POST /vaults/bench-hsm/throttle', { scale: 1 })
  const cameMeanwhile = clients.outcomes.length
  const outcomes = await Promise.all(clients.outcomes.slice(cameBefore, cameMeanwhile))
  const after = await slices(besideSeconds)
  const waitingAfter = await waiting.now()
  clients.stopComing()
  const mostWaiting = await waiting.end()
  await Promise.all(clients.outcomes)
  await clients.close()
  return { beside: [...before, ...after], during, clients: outcomes, mostWaiting, waitingAfter }
}

/** Clients that come one after the other, each for a tenant of its own that nobody has asked for. */
function newClients(port: number, callerToken: (index: number) => string) {
  const agent = new Agent({ connections: 4000 })
  const random = createSeededRandom(1)
  const outcomes: Promise<Obeyed>[] = []
  let timer: NodeJS.Timeout | undefined
  const newClient = (index: number) =>
    askObeying(
      {
        ask: () => ask(agent, port, callerToken(index), bodyFor(warmTenants + index)),
        nowMs: () => performance.now(),
        wait: (ms) => delay(ms),
      },
      patienceMs,
      () => random.next(),
    )
  return {
    outcomes,
    come: () => {
      const startedMs = performance.now()
      timer = setInterval(() => {
        const due = ((performance.now() - startedMs) / 1000) * coldPerSecond
        while (outcomes.length < Math.min(due, coldTenants))
          outcomes.push(newClient(outcomes.length))
      }, 20)
    },
    stopComing: () => {
      clearInterval(timer)
    },
    close: () => agent.close(),
  }
}

async function ask(
  dispatcher: Agent,
  port: number,
  callerToken: string,
  body: string,
): Promise<Said> {
  const answer = await request(`http://127.0.0.1:${port}/v1/token`, {
    dispatcher,
    method: 'POST',
    headers: { authorization: `Bearer ${callerToken}`, 'content-type': 'application/json' },
    body,
  })
  await answer.body.dump()
  const retryAfter = answer.headers['retry-after']
  return {
    status: answer.statusCode,
    retryAfterSeconds: retryAfter === undefined ? undefined : Number(retryAfter),
  }
}

function watchWaiting(port: number) {
  let most = 0
  const now = async () => {
    const waiting = (await metricsOf(port)).get('countersign_sign_queue_length') ?? Number.NaN
    most = Math.max(most, waiting)
    return waiting
  }
  const timer = setInterval(() => void now(), 1000)
  return {
    now,
    /** The most that has been seen. */
    end: async () => {
      clearInterval(timer)
      await now()
      return most
    },
  }
}

async function inTurn<T>(times: number, act: () => Promise<T>): Promise<readonly T[]> {
  const results: T[] = []
  while (results.length < times) results.push(await act())
  return results
}

const herd =
  'The warm tokens were all obtained at one time, so they are due within half a minute, while the vault signs a tenth ' +
  'and new clients wait: those that are not refreshed in time make their callers wait, and all connections of the load ' +
  'with them.'

const range = (values: readonly number[]) =>
  `${formatted({ value: Math.min(...values), unit: 'ms' })} to ${formatted({ value: Math.max(...values), unit: 'ms' })}`

const bodyFor = (tenant: number) =>
  JSON.stringify({ application: 'events', tenant: tenantAt(tenant), scope })

function rowsFrom({
  beside,
  during,
  clients,
  mostWaiting,
  waitingAfter,
}: Measured): readonly Row[] {
  const p99s = (slices: readonly LoadResult[]) => slices.map(({ p99Ms }) => p99Ms)
  const [p99Beside, p99During] = [median(p99s(beside)), median(p99s(during))]
  const warmRefused = during.reduce((sum, { refused }) => sum + refused, 0)
  const withoutTime = clients.reduce((sum, one) => sum + one.withoutTime, 0)
  const refusedOnce = clients.filter(({ refusals }) => refusals > 0).length
  const servedPercent = (clients.filter(({ isServed }) => isServed).length / clients.length) * 100
  const name = 'vault throttled to a tenth for a minute'
  return [
    { measure: `${name}: warm p99 before and after`, value: p99Beside, unit: 'ms' },
    {
      measure: `${name}: warm p99 meanwhile`,
      value: p99During,
      unit: 'ms',
      bar: '≤ 1.2 × before and after',
      met: p99During <= 1.2 * p99Beside,
      limit: `${herd} Of ${during.length} slices meanwhile it was ${range(p99s(during))}, of ${beside.length} before and after ${range(p99s(beside))}.`,
    },
    {
      measure: `${name}: warm requests refused`,
      value: warmRefused,
      unit: '',
      bar: '0',
      met: warmRefused === 0,
      limit: herd,
    },
    {
      measure: `${name}: new clients refused at first, of ${clients.length}`,
      value: refusedOnce,
      unit: '',
    },
    {
      measure: `${name}: refusals that do not say when to come back`,
      value: withoutTime,
      unit: '',
      bar: '0',
      met: withoutTime === 0,
    },
    {
      measure: `${name}: new clients that obey, and are served within a minute`,
      value: servedPercent,
      unit: '%',
      bar: '≥ 95 %',
      met: servedPercent >= 95,
    },
    {
      measure: `${name}: most that waited for a signature`,
      value: mostWaiting,
      unit: '',
      bar: `≤ ${waitingMax}`,
      met: mostWaiting <= waitingMax,
    },
    {
      measure: `${name}: that wait half a minute later`,
      value: waitingAfter,
      unit: '',
      bar: '0',
      met: waitingAfter === 0,
    },
  ]
}
