// What reconcile reads and whom it tells, of a configuration, as one more part of the wiring.
import type { Clock } from './base/clock.ts'
import type { AzureLog } from './base/azure-log.ts'
import type { Config, LogSourceConfig, LogStreamConfig, LogTableConfig } from './config/config.ts'
import { factColumns, type FindingRow } from './custody/finding-row.ts'
import { ExportError } from './custody/log-destination.ts'
import type { AgreedUse, Expect } from './reconcile/expectations.ts'
import { parseKeyUrl } from './reconcile/key-name.ts'
import type { KeyName } from './reconcile/key-name.ts'
import { logFolder } from './reconcile/log-folder.ts'
import type { LogSource, LogSources } from './reconcile/log-source.ts'
import { directoryLogForm, signInLogForm, vaultLogForm } from './reconcile/read-log.ts'
import type { LogForm } from './reconcile/read-log.ts'
import type { SourcesRequest } from './reconcile/reconcile-sources.ts'
import { findingBody } from './reconcile/rounds/finding-body.ts'
import type { FoundAt } from './reconcile/rounds/finding-body.ts'
import { FindingSinkError } from './reconcile/rounds/finding-sink.ts'
import type { FindingSink } from './reconcile/rounds/finding-sink.ts'
import type { FindingEvent } from './reconcile/rounds/round-state.ts'
import type { SentHead } from './reconcile/workspace/sent-head.ts'
import type { TableClient } from './reconcile/workspace/table-client.ts'
import type { VaultAccess } from './vault-access/vault-access.ts'

/** What reconcile is told by a configuration, but for the ledger and the time: plain, so that a thread can be given it. */
export interface ConfiguredReading extends Pick<
  SourcesRequest,
  'keys' | 'applicationIds' | 'expect' | 'graceMs'
> {
  readonly logs: readonly LogSourceConfig[]
  readonly identity: AzureIdentity
}

/** Who asks Azure, and in which cloud. */
export interface AzureIdentity extends Pick<Config, 'cloud' | 'credential'> {
  /** Of a user-assigned identity; undefined for the system-assigned one. */
  readonly clientId: string | undefined
}

/** @param clientId See {@link AzureIdentity}. */
export const configuredReading = (
  config: Config,
  clientId: string | undefined,
): ConfiguredReading => ({
  logs: config.reconcile.sources,
  identity: configuredIdentity(config, clientId),
  keys: configuredKeys(config),
  applicationIds: config.applications.map(({ clientId: id }) => id),
  expect: configuredExpect(config),
  graceMs: config.reconcile.graceMs,
})

/** Nothing else of a configuration goes where Azure is asked. */
export const configuredIdentity = (
  { cloud, credential }: Pick<Config, 'cloud' | 'credential'>,
  clientId: string | undefined,
): AzureIdentity => ({ cloud, credential, clientId })

/** Keys that sign for the applications, whatever version. */
export const configuredKeys = ({ certificates }: Config): readonly KeyName[] =>
  certificates.flatMap(
    ({ vault, nameInVault }) => parseKeyUrl(`${vault}/keys/${nameInVault}`) ?? [],
  )

export const configuredExpect = ({ expect }: Pick<Config, 'expect'>): Expect => ({
  ...expect,
  also: expect.also.map(({ principal, key }): AgreedUse => {
    const name = key === undefined ? undefined : parseKeyUrl(key)
    return name === undefined ? { principal } : { principal, key: name }
  }),
})

/** Logs that can be read until they are closed. */
export interface OpenLogs {
  readonly sources: LogSources
  /** Waits for nothing that is still read. */
  close(): Promise<void>
}

/**
 * What the sources name; a path or a table that is not there shows when it is read.
 *
 * @param identity Undefined where only files are named.
 */
export async function openLogs(
  named: readonly LogSourceConfig[],
  identity: AzureIdentity | undefined,
  clock: Pick<Clock, 'nowMs'>,
): Promise<OpenLogs> {
  const workspaces = createWorkspaces(identity)
  const opened = <LogRecord extends { readonly kind: string; readonly timeMs: number }>(
    kind: AzureLog,
    form: LogForm<LogRecord>,
  ): Promise<readonly LogSource<LogRecord>[]> =>
    Promise.all(
      named
        .filter((source) => source.kind === kind)
        .map(async (source) => {
          if ('path' in source) return logFolder(source.path, form)
          const { logTable } = await import('./reconcile/workspace/log-table.ts')
          return logTable(await workspaces.client(source.table), form, clock)
        }),
    )
  const [vaultLogs, signInLogs, auditLogs] = await Promise.all([
    opened('vault-log', vaultLogForm),
    opened('signin-log', signInLogForm),
    opened('audit-log', directoryLogForm),
  ])
  return { sources: { vaultLogs, signInLogs, auditLogs }, close: () => workspaces.close() }
}

/** Heads of ledgers that were sent to workspaces, one source for each table. */
export async function openSentHeads(
  tables: readonly LogTableConfig[],
  identity: AzureIdentity,
  clock: Pick<Clock, 'nowMs'>,
): Promise<{ readonly sources: readonly LogSource<SentHead>[]; close(): Promise<void> }> {
  const workspaces = createWorkspaces(identity)
  const [{ logTable }, { sentHeadForm }] = await Promise.all([
    import('./reconcile/workspace/log-table.ts'),
    import('./reconcile/workspace/sent-head.ts'),
  ])
  const sources = await Promise.all(
    tables.map(async (table) => logTable(await workspaces.client(table), sentHeadForm, clock)),
  )
  return { sources, close: () => workspaces.close() }
}

/** Twice what an answer of so many rows usually has. */
const tableAnswerBytesMax = 64 * 1024 * 1024

interface Workspaces {
  client(table: LogTableConfig): Promise<TableClient>
  close(): Promise<void>
}

/** Those that are read share connections and credential, which are made with the first of them. */
function createWorkspaces(identity: AzureIdentity | undefined): Workspaces {
  let made: ReturnType<typeof make> | undefined
  const closing = new AbortController()
  const make = async (asked: AzureIdentity) => {
    const [{ Agent }, { createUndiciHttpClient }] = await Promise.all([
      import('undici'),
      import('./vault-access/undici-http-client.ts'),
    ])
    const access = await accessOf(asked, asked.clientId)
    const agent = new Agent({ connections: connectionsMax, maxResponseSize: tableAnswerBytesMax })
    return { access, agent, httpClient: createUndiciHttpClient(agent) }
  }
  return {
    client: async (table) => {
      if (identity === undefined) throw new TypeError('a workspace is read by somebody')
      made ??= make(identity)
      const [{ createTableClient }, { access, httpClient }] = await Promise.all([
        import('./reconcile/workspace/table-client.ts'),
        made,
      ])
      const { credential } = access
      return createTableClient(table, { credential, httpClient, stop: closing.signal })
    },
    close: async () => {
      closing.abort()
      const all = await made
      await Promise.all([all?.agent.destroy(), all?.access.close()])
    },
  }
}

/** One request at a time, and another one may still end. */
const connectionsMax = 2
/** An answer is empty, or an error of some lines. */
const answerBytesMax = 64 * 1024

export interface FindingRows extends FindingSink {
  close(): Promise<void>
}

/** Findings as rows of Log Analytics, by the identity that the configuration names. */
export async function createFindingRows(
  stream: LogStreamConfig,
  config: Pick<Config, 'cloud' | 'credential'>,
  clientId: string | undefined,
  foundAt: () => FoundAt,
): Promise<FindingRows> {
  // Most runs tell nobody in Azure, and load none of its clients.
  const [{ Agent }, { createLogAnalytics }, { createUndiciHttpClient }] = await Promise.all([
    import('undici'),
    import('./custody/log-analytics.ts'),
    import('./vault-access/undici-http-client.ts'),
  ])
  const access = await accessOf(config, clientId)
  const agent = new Agent({ connections: connectionsMax, maxResponseSize: answerBytesMax })
  const destination = await createLogAnalytics(stream, {
    credential: access.credential,
    httpClient: createUndiciHttpClient(agent),
  })
  return {
    name: 'log-analytics',
    tell: async (events) => {
      const rows = fitting(
        events.slice(0, rowsMax).map((event) => findingRow(event, foundAt())),
        destination.batchBytesMax,
      )
      try {
        await destination.send(rows, new AbortController().signal)
      } catch (cause) {
        if (!(cause instanceof ExportError)) throw cause
        throw new FindingSinkError(`Log Analytics does not take the rows (${cause.code})`, {
          cause,
        })
      }
      return rows.length
    },
    close: async () => {
      await Promise.all([agent.close(), access.close()])
    },
  }
}

/** Of a call: most have some kilobytes. */
const rowsMax = 50

/** The first of them, as many as one call takes. */
function fitting(rows: readonly FindingRow[], bytesMax: number): readonly FindingRow[] {
  let bytes = '[]'.length
  const count = rows.findIndex((row) => {
    bytes += Buffer.byteLength(JSON.stringify(row)) + ','.length
    return bytes > bytesMax
  })
  return count === -1 ? rows : rows.slice(0, count)
}

function findingRow(event: FindingEvent, foundAt: FoundAt): FindingRow {
  const { id, at, deployment, ledger, finding } = findingBody(event, foundAt)
  return {
    TimeGenerated: at,
    At: at,
    EventId: id,
    Event: event.event,
    FindingId: finding.id,
    Kind: finding.kind,
    Severity: finding.severity,
    ...(finding.time === undefined ? {} : { HappenedAt: finding.time }),
    ...(deployment === undefined ? {} : { Deployment: deployment }),
    Ledger: ledger,
    Summary: finding.summary,
    Next: finding.next,
    ...factColumns(finding.facts),
  }
}

async function accessOf(
  { cloud, credential }: Pick<Config, 'cloud' | 'credential'>,
  clientId: string | undefined,
): Promise<VaultAccess> {
  const { createVaultAccess } = await import('./vault-access/vault-access.ts')
  return createVaultAccess({
    kind: credential,
    clientId,
    loopbackVaults: cloud.loopbackVaults,
    authority: cloud.name === 'custom' ? 'private' : 'of-microsoft',
  })
}
