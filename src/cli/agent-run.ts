import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { constants } from 'node:os'
import type { Logger } from 'pino'
import type { Agent, AgentEvents } from '../agent/agent.ts'
import { writePrivateFile } from '../agent/private-file.ts'
import { systemClock } from '../base/clock.ts'
import { trustAlso } from '../base/trusted-roots.ts'
import type { AgentConfig } from '../config/agent/agent-config.ts'
import { environmentOfProgram, readEnvironment, readSecrets } from '../config/environment.ts'
import { createProtectedLog } from '../telemetry/protected-log.ts'
import { agentFrom } from './agent-wiring.ts'
import { CommandError } from './command-error.ts'

/** What was asked before the end has as long as its answer may take. */
const stopMs = 5_000

/**
 * Runs until the program ends or the agent is told to, and returns the exit code.
 *
 * @param program And its arguments; empty: none.
 * @throws CommandError that says what to set.
 */
export async function runAgent(config: AgentConfig, program: readonly string[]): Promise<number> {
  const environment = readEnvironment()
  const logger = createProtectedLog(
    { level: environment.logLevel, secrets: readSecrets() },
    process.stderr,
  )
  try {
    if (program.length === 0 && config.environmentFile === undefined) {
      throw new CommandError(
        'no program would know of it: name one after --, or a file for the variables as environmentFile',
      )
    }
    const { caFile } = config.service
    if (caFile !== undefined) trustAlso([caFile])
    const agent = await agentFrom(config, environment.caller, systemClock, eventsFor(logger))
    try {
      if (config.environmentFile !== undefined)
        await writePrivateFile(config.environmentFile, linesOf(agent))
      logger.info({ origin: agent.origin, pid: process.pid }, 'the agent listens')
      return await (program.length === 0 ? signalled() : runProgram(program, agent))
    } finally {
      await agent.stop(stopMs)
    }
  } catch (error) {
    if (error instanceof CommandError) throw error
    logger.fatal({ err: error }, 'the agent cannot run')
    return 1
  }
}

const eventsFor = (logger: Logger): AgentEvents => ({
  requestFailed: (error) => {
    logger.warn({ ...factsOf(error), err: error }, 'a program did not get its token')
  },
  refreshFailed: (error) => {
    logger.warn({ ...factsOf(error), err: error }, 'a token could not be refreshed')
  },
  failed: (error) => {
    logger.error({ err: error }, 'the agent failed')
  },
})

const factsOf = (error: unknown) =>
  error instanceof Error && 'told' in error ? { told: error.told } : {}

/** In the form of a shell and of systemd's EnvironmentFile. */
const linesOf = ({ variables }: Agent) =>
  Object.entries(variables)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('')

const forwarded = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR2'] as const

/** Resolves when the agent is told to end. */
function signalled(): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>()
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => {
      resolve(0)
    })
  }
  return promise
}

/** As a shell would say how it ended: its own code, or 128 and the number of the signal. */
async function runProgram(program: readonly string[], { variables }: Agent): Promise<number> {
  const [name = '', ...args] = program
  const child = spawn(name, args, { stdio: 'inherit', env: environmentOfProgram(variables) })
  for (const signal of forwarded) process.on(signal, () => child.kill(signal))
  try {
    const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null]
    return signal === null ? (code ?? 1) : 128 + constants.signals[signal]
  } catch (error) {
    const isAbsent = error instanceof Error && 'code' in error && error.code === 'ENOENT'
    console.error(`agent: ${name} cannot be started${isAbsent ? ': it is not there' : ''}`)
    return isAbsent ? 127 : 126
  }
}
