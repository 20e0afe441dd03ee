import type { LedgerSource } from '../ledger/ledger-source.ts'
import { recordsOf } from './log-source.ts'
import type { LogSource, LogSources } from './log-source.ts'
import { account } from './reconcile.ts'
import type { Accounts, Report } from './reconcile.ts'

export interface SourcesRequest extends Pick<
  Accounts,
  'keys' | 'applicationIds' | 'expect' | 'nowMs' | 'graceMs'
> {
  readonly ledger: Pick<LedgerSource, 'name' | 'pages'>
  /** Of sign-ins and directory audits none: nothing is said of them. */
  readonly sources: LogSources
}

/**
 * Accounts for every signature of the watched keys: reads the ledger, then the logs, because what is signed
 * meanwhile is younger than `nowMs` and stays undecided. A log that cannot be read is undecided too, and the others
 * count.
 *
 * @throws LedgerFileError | LedgerDatabaseError when the ledger cannot be read at all.
 */
export async function reconcileSources(request: SourcesRequest): Promise<Report> {
  const { ledger, sources, ...rest } = request
  const { vaultLogs, signInLogs, auditLogs } = sources
  const outcome = await account({
    ...rest,
    pages: () => ledger.pages(),
    vaultRecords: () => recordsOf(vaultLogs, -Infinity),
    ...(signInLogs.length > 0 && { signIns: () => recordsOf(signInLogs, -Infinity) }),
    ...(auditLogs.length > 0 && { audits: () => recordsOf(auditLogs, -Infinity) }),
  })
  const { signInLog, auditLog, ...others } = outcome
  return {
    ...others,
    ledger: { name: ledger.name, ...outcome.ledger },
    vaultLog: { paths: namesOf(vaultLogs), ...outcome.vaultLog },
    ...(signInLog && { signInLog: { paths: namesOf(signInLogs), ...signInLog } }),
    ...(auditLog && { auditLog: { paths: namesOf(auditLogs), ...auditLog } }),
  }
}

const namesOf = (sources: readonly LogSource<unknown>[]): readonly string[] =>
  sources.map(({ name }) => name)
