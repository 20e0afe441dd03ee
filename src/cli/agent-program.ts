import { spawn } from 'node:child_process'
import { constants } from 'node:os'
import type { Agent } from '../agent/agent.ts'
import { environmentOfProgram } from '../config/environment.ts'

/** What the agent is told meanwhile. */
export interface Signals {
  /** Resolves when it is told to end while it runs no program. */
  readonly ended: Promise<NodeJS.Signals>
  /** From now on a program gets them. */
  passTo(program: (signal: NodeJS.Signals) => void): void
}

const ending: readonly NodeJS.Signals[] = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT']

/**
 * SIGUSR1 would open Node's debugger on loopback, where whoever is on the machine can have all that the agent
 * has: it is for the program alone.
 */
const forPrograms: readonly NodeJS.Signals[] = ['SIGUSR1', 'SIGUSR2']

/** Hears them from now on; none of them ends the process by itself any more. */
export function hearSignals(): Signals {
  const ended = Promise.withResolvers<NodeJS.Signals>()
  let hear = (signal: NodeJS.Signals) => {
    if (ending.includes(signal)) ended.resolve(signal)
  }
  for (const signal of [...ending, ...forPrograms]) {
    process.on(signal, () => {
      hear(signal)
    })
  }
  return {
    ended: ended.promise,
    passTo: (program) => {
      hear = program
    },
  }
}

/** As a shell says that a program was ended by a signal. */
export const signalled = (signal: NodeJS.Signals) => 128 + constants.signals[signal]

/** Runs a program to its end, and returns its exit code as a shell would. */
export function runProgram(
  [name = '', ...args]: readonly string[],
  { variables, origin }: Pick<Agent, 'variables' | 'origin'>,
  signals: Signals,
): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>()
  const env = environmentOfProgram(variables, origin)
  const child = spawn(name, args, { stdio: 'inherit', env })
  child.on('exit', (code, signal) => {
    resolve(signal === null ? (code ?? 1) : signalled(signal))
  })
  child.on('error', (error) => {
    // It runs, as somebody whom we may not signal.
    if (child.pid !== undefined) return
    const isAbsent = 'code' in error && error.code === 'ENOENT'
    console.error(`agent: ${name} cannot be started${isAbsent ? ': it is not there' : ''}`)
    resolve(isAbsent ? 127 : 126)
  })
  signals.passTo((signal) => {
    if (!isOfTerminal(signal)) child.kill(signal)
  })
  return promise
}

/** A terminal tells all that run in it: passed on, it would be the second time, which many take for "at once". */
const isOfTerminal = (signal: NodeJS.Signals) =>
  process.stdin.isTTY && (signal === 'SIGINT' || signal === 'SIGQUIT')
