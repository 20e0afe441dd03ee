import { rm } from 'node:fs/promises'
import type { Logger } from 'pino'
import type { Agent, AgentEvents } from '../agent/agent.ts'
import { writePrivateFile } from '../agent/private-file.ts'
import { systemClock } from '../base/clock.ts'
import { trustAlso } from '../base/trusted-roots.ts'
import { UnixSocketError } from '../base/unix-socket-error.ts'
import type { AgentConfig } from '../config/agent/agent-config.ts'
import { readEnvironment, readSecrets } from '../config/environment.ts'
import { createProtectedLog } from '../telemetry/protected-log.ts'
import { hearSignals, runProgram, signalled, type Signals } from './agent-program.ts'
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
  // From the beginning: what ends the agent in between would leave its files.
  const signals = hearSignals()
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
      return await runBeside(agent, config, program, signals, logger)
    } finally {
      await agent.stop(stopMs)
    }
  } catch (error) {
    if (error instanceof CommandError) throw error
    // The words of the system, where there are any, are in its cause.
    logger.fatal({ err: error }, 'the agent cannot run')
    if (error instanceof UnixSocketError) throw new CommandError(error.message)
    return 1
  }
}

async function runBeside(
  agent: Agent,
  { environmentFile }: AgentConfig,
  program: readonly string[],
  signals: Signals,
  logger: Logger,
): Promise<number> {
  // An agent that was killed has left it, and whoever has its port now would be asked.
  if (environmentFile !== undefined) await rm(environmentFile, { force: true })
  const early = await Promise.race([agent.ready, signals.ended])
  if (early !== undefined) return program.length === 0 ? 0 : signalled(early)
  try {
    if (environmentFile !== undefined) await writePrivateFile(environmentFile, linesOf(agent))
    logger.info({ origin: agent.origin, pid: process.pid }, 'the agent listens')
    if (program.length > 0) return await runProgram(program, agent, signals)
    await signals.ended
    return 0
  } finally {
    // Whoever has the port next, likewise.
    if (environmentFile !== undefined) await rm(environmentFile, { force: true })
  }
}

const eventsFor = (logger: Logger): AgentEvents => ({
  requestFailed: (error) => {
    logger.warn({ ...factsOf(error), err: error }, 'a program did not get its token')
  },
  refreshFailed: (error) => {
    logger.warn({ ...factsOf(error), err: error }, 'a token could not be refreshed')
  },
  tokenFileAwaited: (error) => {
    logger.warn(
      { ...factsOf(error), err: error },
      'there is nothing for the token file yet: the agent waits, a minute at most, and starts no program',
    )
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
    .map(([name, value]) => `${name}=${quoted(value)}\n`)
    .join('')

/** Paths alone can need it. */
const quoted = (value: string) =>
  /^[\w.:/?=@+-]*$/.test(value) ? value : `'${value.replaceAll("'", `'\\''`)}'`
