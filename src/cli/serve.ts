import { Command } from 'commander'
import { stringify } from 'yaml'
import { systemClock } from '../base/clock.ts'
import { formatProblem } from '../base/configuration-problem.ts'
import type { Config } from '../config/config.ts'
import { readEnvironment, readSecrets } from '../config/environment.ts'
import { endBySignal, type RunEnd, serve } from '../main.ts'
import { createProtectedLog } from '../telemetry/protected-log.ts'
import { loadAll } from './load-all.ts'
import { contractFile, productVersion } from './product.ts'

interface ServeFlags {
  readonly config?: string
  readonly printConfig?: true
}

const example = `
Example:
  $ countersign check --config countersign.yaml
  $ countersign serve --config countersign.yaml --print-config
  $ countersign serve --config countersign.yaml

The log goes to standard output, one JSON object a line. SIGTERM drains.
`

export function serveCommand(): Command {
  return new Command('serve')
    .description(
      'Runs the service. Refuses to start on a configuration with problems, and names all of them.',
    )
    .option('--config <file>', 'countersign.yaml (COUNTERSIGN_CONFIG)')
    .option('--print-config', 'prints what would be in force, defaults and all, and starts nothing')
    .addHelpText('after', example)
    .action(async (options: ServeFlags, command: Command) => {
      const environment = readEnvironment()
      const loaded = await loadAll(
        options.config ?? environment.configFile,
        systemClock.nowSeconds(),
      )
      if (!loaded.ok) {
        for (const problem of loaded.problems) console.error(formatProblem(problem))
        command.error('serve: not started, because of the problems above')
      }
      if (options.printConfig) {
        process.stdout.write(printed(loaded.config))
        return
      }
      const logger = createProtectedLog({ level: environment.logLevel, secrets: readSecrets() })
      // A grant file that is broken grants nothing; the others apply, and this is the loud part.
      for (const problem of loaded.problems) {
        logger[problem.severity === 'error' ? 'error' : 'warn'](problem, formatProblem(problem))
      }
      let end: RunEnd = 'ended'
      try {
        end = await serve({
          configFiles: loaded.configFiles,
          config: loaded.config,
          policy: loaded.policy,
          identityClientId: environment.identityClientId,
          clock: systemClock,
          logger,
          version: productVersion(),
          contractFile,
        })
      } catch (error) {
        logger.fatal({ err: error }, 'the service cannot run')
        process.exitCode = 1
      }
      // All is written and closed: a connection that the credential's SDK still holds must not keep us.
      if (end === 'hanging') endBySignal()
      else process.exit()
    })
}

/** As the service understands it; passwords say that they are secret. */
const printed = (config: Config) => stringify(JSON.parse(JSON.stringify(config)))
