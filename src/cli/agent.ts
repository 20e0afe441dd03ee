import { Command } from 'commander'
import { formatProblem } from '../base/configuration-problem.ts'
import type { AgentConfig } from '../config/agent/agent-config.ts'
import { loadAgent } from '../config/agent/load-agent.ts'
import { CommandError } from './command-error.ts'
import { counted } from './counted.ts'
import { problemNamedLike } from './problem-place.ts'

interface AgentFlags {
  readonly config: string
  readonly check?: true
}

const example = `
Examples:
  $ countersign agent --check
  $ countersign agent -- node program.js
  $ countersign agent --config /etc/countersign/agent.yaml

With a program: it is started with the variables of the agent's endpoints, gets the agent's signals, and its
exit code is the agent's. Without one the agent runs until SIGTERM; programs find the variables in the file
that environmentFile names. The log goes to standard error, one JSON object a line.
`

export function agentCommand(): Command {
  return new Command('agent')
    .description(
      'Answers programs of this machine as the managed identity endpoints that they know, with tokens of the service.',
    )
    .argument('[program...]', 'a program and its arguments, after --')
    .option('--config <file>', 'configuration of the agent', 'agent.yaml')
    .option('--check', 'report every problem of the configuration, and do nothing else')
    .addHelpText('after', example)
    .action(async (program: readonly string[], flags: AgentFlags, command: Command) => {
      const isCheck = flags.check === true
      const loaded = await loadAgent(flags.config, isCheck ? 'may-be-elsewhere' : 'must-be-here')
      const problems = loaded.ok ? loaded.warnings : loaded.problems
      const say = isCheck ? console.log : console.error
      for (const problem of problems) say(formatProblem(problemNamedLike(flags.config)(problem)))
      if (!loaded.ok) {
        command.error(`agent: ${isCheck ? 'see' : 'not started, because of'} the problems above`)
      }
      if (isCheck) {
        console.log(summaryOf(loaded.config))
        return
      }
      // Checking needs none of what running does.
      const { runAgent } = await import('./agent-run.ts')
      try {
        process.exitCode = await runAgent(loaded.config, program)
      } catch (error) {
        if (!(error instanceof CommandError)) throw error
        command.error(`agent: ${error.message}`)
      }
      // A connection that the platform's SDK still holds must not keep us.
      process.exit()
    })
}

const summaryOf = ({ resources, shapes }: AgentConfig) =>
  `${counted(resources.length, 'resource')}, ${counted(Object.keys(shapes).length, 'shape')}\n` +
  'The configuration is sound.'
