import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { afterEach, expect, test } from 'vitest'

const stopSignalFile = join(import.meta.dirname, '../../../src/base/stop-signal.ts')

/** Says what it does; takes `drainMs` over its end. */
const program = (drainMs: number) => `
  import { aborted, stopSignal } from ${JSON.stringify(stopSignalFile)}
  const stop = stopSignal()
  const life = setInterval(() => {}, 60_000)
  console.log('started')
  await aborted(stop)
  console.log('stopping')
  await new Promise((resolve) => setTimeout(resolve, ${drainMs}))
  clearInterval(life)
  console.log('drained')
`

let child: ChildProcessWithoutNullStreams
afterEach(() => child.kill('SIGKILL'))

async function started(drainMs: number): Promise<void> {
  child = spawn(process.execPath, ['--input-type=module', '--eval', program(drainMs)])
  await once(child.stdout, 'data')
}

async function ended(): Promise<readonly [code: number | null, signal: NodeJS.Signals | null]> {
  const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null]
  return [code, signal]
}

test.each(['SIGTERM', 'SIGINT'] as const)('lets a run end by itself after %s', async (signal) => {
  await started(100)

  child.kill(signal)

  expect(await ended()).toEqual([0, null])
})

test('takes what follows at once for the same request, whichever signal it is', async () => {
  await started(500)

  child.kill('SIGTERM')
  await once(child.stdout, 'data')
  child.kill('SIGTERM')
  child.kill('SIGINT')

  expect(await ended()).toEqual([0, null])
})

test.each(['SIGTERM', 'SIGINT'] as const)(
  'is ended by %s when it comes again later',
  async (signal) => {
    await started(60_000)

    child.kill('SIGTERM')
    await once(child.stdout, 'data')
    await pause(1500)
    child.kill(signal)

    expect(await ended()).toEqual([null, signal])
  },
)
