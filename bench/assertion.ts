import { type BenchCloud, tenantAt } from './cloud.ts'
import { type LoadPlan, type LoadResult, requestBytes, runLoad } from './load.ts'
import { cpuSeconds } from './process-facts.ts'
import { metricsOf, type ServiceMetrics } from './service-metrics.ts'
import { formatted, median, type Row } from './table.ts'

const durationMs = 3000
/** What an assertion takes most is code that is compiled late: the SDK's, and TLS. */
const warmUpMs = 8000

/**
 * Fresh assertions. Our own time is what the whole answer takes less what the vault takes, which the
 * service measures around each sign; one request at a time, so that nothing waits for anything else.
 * CPU is all that the service's process used, HTTP, SDK and ledger included, under a load that keeps
 * it busy; beside it, at the same rate, that of a server which only passes each request on to the vault:
 * processors that sleep between requests make both dearer.
 */
export async function assertionMeasure(cloud: BenchCloud, rounds: number): Promise<readonly Row[]> {
  const service = await cloud.startService()
  const relay = await cloud.startRelay()
  const target = { host: '127.0.0.1', port: service.port, durationMs }
  const relayed = { ...target, port: relay.port, requests: await freshRequests(cloud) }
  await runLoad({
    ...target,
    requests: await freshRequests(cloud),
    durationMs: warmUpMs,
    connections: 16,
  })
  await runLoad({ ...relayed, connections: 16 })

  const measured: Round[] = []
  for (let round = 0; round < rounds; round += 1) {
    const requests = await Promise.all([freshRequests(cloud), freshRequests(cloud)])
    const before = await metricsOf(service.port)
    const alone = await runLoad({ ...target, requests: requests[0], connections: 1 })
    const after = await metricsOf(service.port)
    const aloneRelayed = await runLoad({ ...relayed, connections: 1 })

    const busy = await cpuUnder({ ...target, requests: requests[1], connections: 16 }, service.pid)
    const passed = await cpuUnder(
      { ...relayed, connections: 16, ratePerSecond: busy.load.perSecond },
      relay.pid,
    )
    const refused = [alone, busy.load, passed.load].some((load) => load.refused > 0)
    if (refused) throw new Error('a request was refused')
    const commits = meanMs(before, after, 'countersign_ledger_commit_seconds')
    measured.push({
      wholeMs: alone.p50Ms,
      signMs: meanMs(before, after, 'countersign_sign_seconds').ms,
      commitMs: commits.ms,
      commits: commits.count / alone.answered,
      relayMs: aloneRelayed.p50Ms,
      cpuMicroseconds: busy.microseconds,
      relayCpuMicroseconds: passed.microseconds,
    })
  }
  await Promise.all([service.stop(), relay.stop()])
  return rowsFrom(measured)
}

/** Of one request, where not said otherwise. */
interface Round {
  readonly wholeMs: number
  readonly signMs: number
  /** Of one commit. */
  readonly commitMs: number
  readonly commits: number
  readonly relayMs: number
  readonly cpuMicroseconds: number
  readonly relayCpuMicroseconds: number
}

function rowsFrom(rounds: readonly Round[]): readonly Row[] {
  const own = median(rounds.map(({ wholeMs, signMs }) => wholeMs - signMs))
  const commits = median(rounds.map(({ commits, commitMs }) => commits * commitMs))
  const relay = median(rounds.map(({ relayMs }) => relayMs))
  const cpu = median(rounds.map(({ cpuMicroseconds }) => cpuMicroseconds))
  const relayCpu = median(rounds.map(({ relayCpuMicroseconds }) => relayCpuMicroseconds))
  return [
    {
      measure: 'assertion, whole, p50',
      value: median(rounds.map(({ wholeMs }) => wholeMs)),
      unit: 'ms',
    },
    {
      measure: 'assertion, our own time around the signer, p50',
      value: own,
      unit: 'ms',
      bar: '≤ 1 ms',
      met: own <= 1,
      limit:
        `${milliseconds(commits)} are commits, one before the vault is asked and one before the answer leaves. ` +
        `Another ${milliseconds(relay)} are what a server takes that passes a request on to the vault and back, less what ` +
        `the vault takes to refuse it. The rest is a caller's token that is new, a signature that is verified, and entries.`,
    },
    { measure: 'assertion, commits in it', value: commits, unit: 'ms' },
    {
      measure: 'one request passed on over TLS, one at a time, p50',
      value: relay,
      unit: 'ms',
    },
    {
      measure: 'assertion, CPU of the whole service',
      value: cpu,
      unit: 'µs',
      bar: '≤ 250 µs',
      met: cpu <= 250,
      limit:
        `A request that is only passed on over TLS costs ${Math.round(relayCpu)} µs at the same rate, which is that of the ` +
        'emulated vault: processors sleep between requests, and caches with them. The rest is above all checking a ' +
        "caller's token that is new, the pipeline of the SDK, verifying the signature, and what the ledger's thread does.",
    },
    {
      measure: 'one request passed on over TLS at the same rate, CPU',
      value: relayCpu,
      unit: 'µs',
    },
  ]
}

const milliseconds = (value: number) => formatted({ value, unit: 'ms' })

/** For ten assertions each, which is more than a load asks for in its time. */
const tokensOfLoad = 2000

async function freshRequests(cloud: BenchCloud): Promise<readonly Buffer[]> {
  const body = JSON.stringify({ application: 'events', tenant: tenantAt(0) })
  const requests: Buffer[] = []
  // One after the other: the emulator has other things to do.
  while (requests.length < tokensOfLoad) {
    const authorization = `Bearer ${await cloud.callerToken()}`
    requests.push(requestBytes('/v1/assertion', { authorization }, body))
  }
  return requests
}

async function cpuUnder(
  plan: LoadPlan,
  pid: number,
): Promise<{ readonly load: LoadResult; readonly microseconds: number }> {
  const before = cpuSeconds(pid)
  const load = await runLoad(plan)
  return { load, microseconds: ((cpuSeconds(pid) - before) / load.answered) * 1e6 }
}

/** Of a histogram of the service, between two looks at it. */
function meanMs(
  before: ServiceMetrics,
  after: ServiceMetrics,
  name: string,
): { readonly ms: number; readonly count: number } {
  const between = (part: string) =>
    (after.get(`${name}_${part}`) ?? Number.NaN) - (before.get(`${name}_${part}`) ?? 0)
  const count = between('count')
  return { ms: (between('sum') / count) * 1000, count }
}
