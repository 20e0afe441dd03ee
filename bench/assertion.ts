import { readFileSync } from 'node:fs'
import { type BenchCloud, tenantAt } from './cloud.ts'
import { type LoadPlan, type LoadResult, requestBytes, runLoad } from './load.ts'
import { median, type Row } from './table.ts'

const durationMs = 3000
/** What an assertion takes most is code that is compiled late: the SDK's, and TLS. */
const warmUpMs = 8000
/** Clock ticks of /proc/PID/stat, per second: fixed for user space on Linux. */
const ticksPerSecond = 100

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

  const own: number[] = []
  const whole: number[] = []
  const cpu: number[] = []
  const relayCpu: number[] = []
  for (let round = 0; round < rounds; round += 1) {
    const requests = await Promise.all([freshRequests(cloud), freshRequests(cloud)])
    const signBefore = await signTimeOf(service.port)
    const alone = await runLoad({ ...target, requests: requests[0], connections: 1 })
    const signAfter = await signTimeOf(service.port)
    const signMs =
      ((signAfter.seconds - signBefore.seconds) / (signAfter.count - signBefore.count)) * 1000
    whole.push(alone.p50Ms)
    own.push(alone.p50Ms - signMs)

    const busy = await cpuUnder({ ...target, requests: requests[1], connections: 16 }, service.pid)
    cpu.push(busy.microseconds)
    const passed = await cpuUnder(
      { ...relayed, connections: 16, ratePerSecond: busy.load.perSecond },
      relay.pid,
    )
    relayCpu.push(passed.microseconds)
    const refused = [alone, busy.load, passed.load].some((load) => load.refused > 0)
    if (refused) throw new Error('a request was refused')
  }
  await Promise.all([service.stop(), relay.stop()])
  const [ownMs, cpuMicroseconds] = [median(own), median(cpu)]
  return [
    { measure: 'assertion, whole, p50', value: median(whole), unit: 'ms' },
    {
      measure: 'assertion, our own time around the signer, p50',
      value: ownMs,
      unit: 'ms',
      bar: '≤ 1 ms',
      met: ownMs <= 1,
      limit:
        'Two syncs of the disk, before the vault is asked and before the answer leaves: what the disk takes, twice.',
    },
    {
      measure: 'assertion, CPU of the whole service',
      value: cpuMicroseconds,
      unit: 'µs',
      bar: '≤ 250 µs',
      met: cpuMicroseconds <= 250,
      limit:
        'A request that is only passed on over TLS, at the same rate, costs most of the bar or more than it (below): ' +
        'at the rate at which an emulated vault answers, processors sleep between requests, and caches with them.',
    },
    {
      measure: 'one request passed on over TLS at the same rate, CPU',
      value: median(relayCpu),
      unit: 'µs',
    },
  ]
}

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
  const ticksBefore = cpuTicksOf(pid)
  const load = await runLoad(plan)
  const ticks = cpuTicksOf(pid) - ticksBefore
  return { load, microseconds: (ticks / ticksPerSecond / load.answered) * 1e6 }
}

/** Sum and count of the service's own histogram. */
async function signTimeOf(port: number): Promise<{ seconds: number; count: number }> {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
  const read = (name: string) =>
    Number(new RegExp(`^countersign_sign_seconds_${name} (\\S+)$`, 'm').exec(text)?.[1] ?? 0)
  return { seconds: read('sum'), count: read('count') }
}

/** User and system time of a process. @see proc_pid_stat(5), fields 14 and 15. */
function cpuTicksOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return Number(fields[11]) + Number(fields[12])
}
