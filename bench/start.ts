import { setTimeout as delay } from 'node:timers/promises'
import type { BenchCloud } from './cloud.ts'
import { cpuSeconds, residentMegabytes } from './process-facts.ts'
import { median, type Row } from './table.ts'

/** So that what the start leaves behind has been collected, and nothing else has begun. */
const idleMs = 3000

const barsMs = { built: 400, source: 900 } as const
const barMegabytes = 130

/** From the start of the process until it is ready, emulator at hand; and what it holds while nobody asks. */
export async function startMeasure(cloud: BenchCloud, starts: number): Promise<readonly Row[]> {
  const readyMs: Record<keyof typeof barsMs, number[]> = { built: [], source: [] }
  const cpuMs: number[] = []
  const idleMegabytes: number[] = []
  for (let round = 0; round < starts; round += 1) {
    for (const program of ['built', 'source'] as const) {
      const service = await cloud.startService({ program })
      readyMs[program].push(service.readyMs)
      if (program === 'built') {
        cpuMs.push(cpuSeconds(service.pid) * 1000)
        await delay(idleMs)
        idleMegabytes.push(residentMegabytes(service.pid))
      }
      await service.stop()
    }
  }
  const megabytes = median(idleMegabytes)
  return [
    readyRow('built', median(readyMs.built)),
    { measure: 'start to ready, built, CPU of all its threads', value: median(cpuMs), unit: 'ms' },
    {
      measure: 'memory, built, idle',
      value: megabytes,
      unit: 'MB',
      bar: `≤ ${barMegabytes} MB`,
      met: megabytes <= barMegabytes,
      limit:
        'Node, the code of the SDKs, Express and zod, the roots of the system, and the heap that a start leaves behind.',
    },
    readyRow('source', median(readyMs.source)),
  ]
}

const readyRow = (program: keyof typeof barsMs, value: number): Row => ({
  measure: `start to ready, ${program === 'built' ? 'built' : 'from source'}`,
  value,
  unit: 'ms',
  bar: `≤ ${barsMs[program]} ms`,
  met: value <= barsMs[program],
  limit:
    "Node's own start, the code of the Azure SDKs, and the round trips by which a key is proven (a token, a challenge, " +
    'the certificate, the key). It is processor time for the most part (above), so it follows how fast the ' +
    'processors are and who else has them.',
})
