import { Command } from 'commander'
import type { AgentConfig } from '../config/agent/agent-config.ts'
import { loadAgent } from '../config/agent/load-agent.ts'
import { CommandError } from './command-error.ts'
import { counted } from './counted.ts'
import { soundConfiguration } from './sound-configuration.ts'

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
      const config = await soundConfiguration(flags, loadAgent, command)
      if (flags.check === true) {
        console.log(summaryOf(config))
        return
      }
      // Checking needs none of what running does.
      const { runAgent } = await import('./agent-run.ts')
      try {
        process.exitCode = await runAgent(config, program)
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
