import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { childEnvironment } from '../../config/environment.ts'
import { launcher } from '../product.ts'

export interface Finished {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Variables for a child, besides those of this process. */
export type Variables = Readonly<Record<string, string>>

/** Runs `countersign ARGS` and waits until it ends. */
export const runVerb = (args: readonly string[], variables: Variables = {}) =>
  run([launcher, ...args], variables)

/** Runs a program under this Node and waits until it ends. */
export async function run(args: readonly string[], variables: Variables = {}): Promise<Finished> {
  const child = start(args, variables)
  const [stdout, stderr] = [collect(child.stdout), collect(child.stderr)]
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, stdout: stdout(), stderr: stderr() }
}

export interface RunningVerb {
  /** Asks it to end, and waits until it has. */
  stop(): Promise<void>
}

/**
 * Starts `countersign ARGS` and waits for the line that says it is ready.
 *
 * @throws Error with what it wrote when it ends before that, or has not said so in a minute.
 */
export async function startVerb(
  args: readonly string[],
  isReady: (line: string) => boolean,
  variables: Variables = {},
): Promise<RunningVerb> {
  const child = start([launcher, ...args], variables)
  const [stdout, stderr] = [collect(child.stdout), collect(child.stderr)]
  const ended = once(child, 'close')
  await new Promise<void>((resolve, reject) => {
    const fail = (how: string) => () => {
      reject(new Error(`countersign ${args[0] ?? ''} ${how}:\n${stdout()}${stderr()}`))
    }
    const timer = setTimeout(fail('was not ready within a minute'), 60_000)
    child.once('close', fail('ended'))
    child.stdout?.on('data', () => {
      if (!stdout().split('\n').some(isReady)) return
      clearTimeout(timer)
      resolve()
    })
  }).catch((error: unknown) => {
    child.kill('SIGKILL')
    throw error
  })
  return {
    stop: async () => {
      child.kill('SIGTERM')
      await ended
    },
  }
}

const start = (args: readonly string[], variables: Variables): ChildProcess =>
  spawn(process.execPath, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: childEnvironment(variables),
  })

function collect(stream: ChildProcess['stdout']): () => string {
  let text = ''
  stream?.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk
  })
  return () => text
}
