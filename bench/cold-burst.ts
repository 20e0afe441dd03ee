import { type BenchCloud, scope, tenantAt } from './cloud.ts'
import { requestBytes, runLoad } from './load.ts'
import type { Row } from './table.ts'

const subjects = 10

/**
 * As many callers as asked for, at once, for one tenant that nothing is cached for. Each is one
 * connection with one request, in waves that the loopback's listen backlog can take.
 */
export async function coldBurst(cloud: BenchCloud, callers: number): Promise<readonly Row[]> {
  const service = await cloud.startService()
  const before = await cloud.seen()
  const body = JSON.stringify({ application: 'events', tenant: tenantAt(0), scope })
  // No caller may have more than half of the connections.
  const requests = await Promise.all(
    Array.from({ length: subjects }, async (_, index) => {
      const authorization = `Bearer ${await cloud.callerToken(`repo:contoso/job-${index}`)}`
      return requestBytes('/v1/token', { authorization }, body)
    }),
  )
  const startedMs = performance.now()
  const { answered, refused } = await runLoad({
    host: '127.0.0.1',
    port: service.port,
    connections: callers,
    requests,
    requestsPerConnection: 1,
    durationMs: 60_000,
  })
  const seconds = (performance.now() - startedMs) / 1000
  const after = await cloud.seen()
  await service.stop()
  if (answered !== callers || refused > 0) {
    throw new Error(`${answered} of ${callers} callers were answered, ${refused} refused`)
  }
  const signatures = after.signatures - before.signatures
  const exchanges = after.exchanges - before.exchanges
  const name = `cold burst of ${callers} callers`
  return [
    {
      measure: `${name}: signatures`,
      value: signatures,
      unit: '',
      bar: '1',
      met: signatures === 1,
    },
    { measure: `${name}: exchanges`, value: exchanges, unit: '', bar: '1', met: exchanges === 1 },
    { measure: `${name}: until the last is answered`, value: seconds, unit: 's' },
  ]
}
