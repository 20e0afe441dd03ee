import { readFileSync } from 'node:fs'
import { type BenchCloud, tenantAt } from './cloud.ts'
import { requestBytes, runLoad } from './load.ts'
import { median, type Row } from './table.ts'

const durationMs = 3000
/** Clock ticks of /proc/PID/stat, per second: fixed for user space on Linux. */
const ticksPerSecond = 100

/**
 * Fresh assertions. Our own time is what the whole answer takes less what the vault takes, which the
 * service measures around each sign; one request at a time, so that nothing waits for anything else.
 * CPU is all that the service's process used, HTTP, SDK and ledger included, under a load that keeps
 * it busy.
 */
export async function assertionMeasure(cloud: BenchCloud, rounds: number): Promise<readonly Row[]> {
  const service = await cloud.startService()
  const callerToken = await cloud.callerToken()
  const requests = [
    requestBytes(
      '/v1/assertion',
      { authorization: `Bearer ${callerToken}` },
      JSON.stringify({ application: 'events', tenant: tenantAt(0) }),
    ),
  ]
  const target = { host: '127.0.0.1', port: service.port, requests, durationMs }
  await runLoad({ ...target, connections: 4 })

  const own: number[] = []
  const whole: number[] = []
  const cpu: number[] = []
  for (let round = 0; round < rounds; round += 1) {
    const signBefore = await signTimeOf(service.port)
    const alone = await runLoad({ ...target, connections: 1 })
    const signAfter = await signTimeOf(service.port)
    const signMs =
      ((signAfter.seconds - signBefore.seconds) / (signAfter.count - signBefore.count)) * 1000
    whole.push(alone.p50Ms)
    own.push(alone.p50Ms - signMs)

    const ticksBefore = cpuTicksOf(service.pid)
    const busy = await runLoad({ ...target, connections: 16 })
    const ticks = cpuTicksOf(service.pid) - ticksBefore
    cpu.push((ticks / ticksPerSecond / busy.answered) * 1e6)
    if (alone.refused + busy.refused > 0) throw new Error('an assertion was refused')
  }
  await service.stop()
  const [ownMs, cpuMicroseconds] = [median(own), median(cpu)]
  return [
    { measure: 'assertion, whole, p50', value: median(whole), unit: 'ms' },
    {
      measure: 'assertion, our own time around the signer, p50',
      value: ownMs,
      unit: 'ms',
      bar: '≤ 1 ms',
      met: ownMs <= 1,
    },
    {
      measure: 'assertion, CPU of the whole service',
      value: cpuMicroseconds,
      unit: 'µs',
      bar: '≤ 250 µs',
      met: cpuMicroseconds <= 250,
    },
  ]
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
