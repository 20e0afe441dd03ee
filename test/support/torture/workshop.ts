import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'

/** How a process ended. */
export interface Exit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/** `countersign VERB …` as a process of its own. */
export interface Program {
  readonly processId: number | undefined
  /**
   * Resolves with the first line of standard output that passes, and with undefined when the process
   * ends before there is one. To be asked for before the line can have been written.
   *
   * @throws Error when neither happens within a minute.
   */
  firstLine(passes: (line: string) => boolean): Promise<string | undefined>
  /** Sends the signal and waits until the process has ended; after a minute it is killed. */
  end(signal: NodeJS.Signals): Promise<Exit>
  /** Stands still from now on, as on a machine that is paused, until what is returned is called. */
  freeze(): () => void
  readonly ended: Promise<Exit>
  /** The end of what it wrote, for who wants to know what went wrong. */
  lastLines(): string
}

export type Variables = Readonly<Record<string, string>>

/**
 * A temporary folder and the processes that work in it. Both are gone when it is disposed of, and
 * when this process ends without doing so.
 */
export interface Workshop extends AsyncDisposable {
  readonly folder: string
  /** Starts `countersign ARGS` from source, with these environment variables and no others. */
  start(args: readonly string[], variables?: Variables): Program
  /** Runs `countersign ARGS` until it ends. */
  run(args: readonly string[]): Promise<Finished>
}

export interface Finished {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

const entry = resolve(import.meta.dirname, '../../../src/cli/countersign.ts')
const guardFile = join(import.meta.dirname, 'end-with-parent.ts')

export function openWorkshop(): Workshop {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-torture-'))
  const guard = startGuard()
  guard.tell(folder)
  const running = new Set<ChildProcess>()

  const launch = (args: readonly string[], variables: Variables) => {
    const child = spawn(process.execPath, [entry, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      cwd: folder,
      // Starting is most of what these processes do; compiled code is kept between them.
      env: { NODE_COMPILE_CACHE: join(folder, 'compiled'), ...variables },
    })
    running.add(child)
    guard.tell(`+${child.pid ?? ''}`)
    child.once('close', () => {
      guard.tell(`-${child.pid ?? ''}`)
      running.delete(child)
    })
    return child
  }

  return {
    folder,
    start: (args, variables = {}) => programFrom(launch(args, variables)),
    run: async (args) => {
      const child = launch(args, {})
      const closed = once(child, 'close') as Promise<[code: number | null]>
      const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)])
      const [code] = await closed
      return { code, stdout, stderr }
    },
    [Symbol.asyncDispose]: async () => {
      await Promise.all(
        [...running].map((child) => {
          child.kill('SIGKILL')
          return once(child, 'close')
        }),
      )
      rmSync(folder, { recursive: true, force: true })
      await guard.close()
    },
  }
}

interface Guard {
  tell(order: string): void
  close(): Promise<void>
}

/** In a session of its own, so that Ctrl-C in a terminal leaves it to do its work. */
function startGuard(): Guard {
  const guard = spawn(process.execPath, [guardFile], {
    stdio: ['pipe', 'ignore', 'inherit'],
    detached: true,
    env: {},
  })
  guard.unref()
  const ended = once(guard, 'close')
  return {
    tell: (order) => {
      guard.stdin.write(`${order}\n`)
    },
    close: async () => {
      guard.ref()
      guard.stdin.end()
      await ended
    },
  }
}

const linesKept = 60
/** More than anything here takes on a machine that has a lot else to do. */
const patienceMs = 60_000

function programFrom(child: ChildProcess): Program {
  const kept: string[] = []
  const expected = new Set<(line: string) => void>()
  const ended = new Promise<Exit>((resolveExit) => {
    child.once('close', (code, signal) => {
      resolveExit({ code, signal })
    })
  })
  const keep = (line: string) => {
    kept.push(line)
    if (kept.length > linesKept) kept.shift()
  }
  eachLine(child.stderr, keep)
  eachLine(child.stdout, (line) => {
    keep(line)
    for (const offer of expected) offer(line)
  })
  return {
    processId: child.pid,
    firstLine: async (passes) => {
      const { promise, resolve: found, reject } = Promise.withResolvers<string>()
      const impatience = setTimeout(() => {
        reject(new Error(`waited for a line for a minute:\n${kept.join('\n')}`))
      }, patienceMs)
      const offer = (line: string) => {
        if (passes(line)) found(line)
      }
      expected.add(offer)
      try {
        const line = await Promise.race([promise, ended])
        return typeof line === 'string' ? line : undefined
      } finally {
        clearTimeout(impatience)
        expected.delete(offer)
      }
    },
    end: async (signal) => {
      child.kill(signal)
      const impatience = setTimeout(() => child.kill('SIGKILL'), patienceMs)
      const exit = await ended
      clearTimeout(impatience)
      return exit
    },
    freeze: () => {
      child.kill('SIGSTOP')
      return () => child.kill('SIGCONT')
    },
    ended,
    lastLines: () => kept.join('\n'),
  }
}

function eachLine(stream: ChildProcess['stdout'], take: (line: string) => void): void {
  if (stream !== null) createInterface({ input: stream }).on('line', take)
}
