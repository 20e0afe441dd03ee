import type { Logger } from 'pino'
import { type ConfigurationProblem, formatProblem } from '../base/configuration-problem.ts'
import type { LoadedConfiguration, RefusedConfiguration } from '../reload/configuration-reload.ts'
import type { PolicyStanding } from '../reload/fleet-grants.ts'
import type { LoadedGrants } from '../reload/grants-reload.ts'
import type { Metrics } from './metrics.ts'

export interface ReloadTelemetry {
  /** Grants are in force from now on; what is wrong in a file is loud. */
  readonly loaded: (loaded: LoadedGrants) => void
  /** The folder of this replica stands otherwise than before, beside what all have in force. */
  readonly folder: (standing: PolicyStanding, problems: readonly ConfigurationProblem[]) => void
  readonly configurationLoaded: (loaded: LoadedConfiguration) => void
  /** The one before it stays in force, which is loud. */
  readonly configurationRefused: (refused: RefusedConfiguration) => void
  readonly configurationReturned: () => void
}

/** Lines and counters for grants and configurations that come into force, or do not. */
export function createReloadTelemetry({
  logger,
  metrics,
}: {
  readonly logger: Logger
  readonly metrics: Metrics
}): ReloadTelemetry {
  const tell = (problems: readonly ConfigurationProblem[]) => {
    for (const problem of problems) {
      logger[problem.severity === 'error' ? 'error' : 'warn'](problem, formatProblem(problem))
    }
  }
  return {
    loaded: ({ changes, grants, broken, problems, generation }) => {
      if (changes !== undefined) metrics.policyLoads.inc()
      tell(problems)
      logger.info({ ...changes, grants, broken, generation }, 'grants loaded')
    },
    folder: ({ folder, generation }, problems) => {
      if (folder === 'in-force') {
        logger.info({ generation }, 'the folder of grants is in force')
        return
      }
      tell(problems)
      logger.warn({ folder, generation }, 'the folder of grants is not what is in force')
    },
    configurationLoaded: ({ changes, warnings }) => {
      metrics.configurationLoads.inc()
      tell(warnings)
      logger.info({ ...changes }, 'configuration loaded')
    },
    configurationRefused: ({ problems, error }) => {
      tell(problems)
      logger.error(
        error === undefined ? {} : { err: error },
        'the configuration is not in force: the one before it stays',
      )
    },
    configurationReturned: () => {
      logger.info('the configuration is in force')
    },
  }
}
