import { reconcileSources, type SourcesRequest } from '../../src/reconcile/reconcile-sources.ts'
import type { Report } from '../../src/reconcile/reconcile.ts'
import { logFolders, type LogPaths } from './log-folders.ts'

export interface PathsRequest extends Omit<SourcesRequest, 'sources'> {
  readonly vaultLogPaths: LogPaths['vaultLogs']
  readonly signInLogPaths?: LogPaths['signInLogs']
  readonly auditLogPaths?: LogPaths['auditLogs']
}

/** As `countersign reconcile` with options that name files. */
export const reconcile = ({
  vaultLogPaths: vaultLogs,
  signInLogPaths: signInLogs = [],
  auditLogPaths: auditLogs = [],
  ...request
}: PathsRequest): Promise<Report> =>
  reconcileSources({ ...request, sources: logFolders({ vaultLogs, signInLogs, auditLogs }) })
