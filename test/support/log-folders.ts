import { logFolder } from '../../src/reconcile/log-folder.ts'
import type { LogSources } from '../../src/reconcile/log-source.ts'
import { directoryLogForm, signInLogForm, vaultLogForm } from '../../src/reconcile/read-log.ts'

/** The logs in files, by what is in them. */
export interface LogPaths {
  readonly vaultLogs: readonly string[]
  readonly signInLogs: readonly string[]
  readonly auditLogs: readonly string[]
}

export const logFolders = ({ vaultLogs, signInLogs, auditLogs }: LogPaths): LogSources => ({
  vaultLogs: vaultLogs.map((path) => logFolder(path, vaultLogForm)),
  signInLogs: signInLogs.map((path) => logFolder(path, signInLogForm)),
  auditLogs: auditLogs.map((path) => logFolder(path, directoryLogForm)),
})
