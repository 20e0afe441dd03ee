import type { ServerCertificate } from '../certificate-authority.ts'
import { type Listener, listenHttps } from '../listener.ts'
import {
  createLogsIngestion,
  type LogsIngestion,
  type LogsIngestionDeps,
} from './logs-ingestion.ts'
import { createLogsQuery, type LogsQuery, type LogsQueryDeps } from './logs-query.ts'

/** A service with the port that it is reached at; it can leave that and come back, as it was. */
type Reachable<Service> = Service & Pick<Listener, 'origin' | 'leave' | 'comeBack'>

/** Azure Monitor: where rows are sent to, and where they are asked for. */
export interface Monitor {
  readonly logsIngestion: Reachable<LogsIngestion>
  readonly logsQuery: Reachable<LogsQuery>
}

export interface MonitorDeps extends LogsIngestionDeps, Omit<LogsQueryDeps, 'tables'> {
  readonly tables: LogsIngestionDeps['tables'] & LogsQueryDeps['tables']
  readonly tls: ServerCertificate
  /** Takes the listeners over, one by one as they start. */
  readonly started: AsyncDisposableStack
}

/** More than a call may have, so that the service itself refuses it. */
const ingestionBytesMax = 4 * 1024 * 1024

export async function startMonitor(deps: MonitorDeps): Promise<Monitor> {
  const { tls, started } = deps
  const ingestionListener = started.adopt(
    await listenHttps({ tls, bodyBytesMax: ingestionBytesMax }),
    (part) => part.close(),
  )
  const logsIngestion = createLogsIngestion(deps)
  ingestionListener.serve(logsIngestion.service)
  const queryListener = started.adopt(await listenHttps({ tls }), (part) => part.close())
  const logsQuery = createLogsQuery(deps)
  queryListener.serve(logsQuery.service)
  return {
    logsIngestion: { ...logsIngestion, ...placeOf(ingestionListener) },
    logsQuery: { ...logsQuery, ...placeOf(queryListener) },
  }
}

const placeOf = (listener: Listener): Pick<Listener, 'origin' | 'leave' | 'comeBack'> => ({
  origin: listener.origin,
  leave: () => listener.leave(),
  comeBack: () => listener.comeBack(),
})
