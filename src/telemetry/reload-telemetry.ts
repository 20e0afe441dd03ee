import type { Logger } from 'pino'
import { formatProblem } from '../base/configuration-problem.ts'
import type { LoadedGrants } from '../reload/grants-reload.ts'
import type { Metrics } from './metrics.ts'

/** Lines and a counter for grants that are in force from now on; what is wrong in a file is loud. */
export function createReloadTelemetry({
  logger,
  metrics,
}: {
  readonly logger: Logger
  readonly metrics: Metrics
}): (loaded: LoadedGrants) => void {
  return ({ changes, grants, broken, problems }) => {
    metrics.policyLoads.inc()
    for (const problem of problems) {
      logger[problem.severity === 'error' ? 'error' : 'warn'](problem, formatProblem(problem))
    }
    logger.info({ ...changes, grants, broken }, 'grants loaded')
  }
}
