import { systemClock } from '../base/clock.ts'
import type { Config, LogSourceConfig } from '../config/config.ts'
import { readEnvironment } from '../config/environment.ts'
import type { LedgerSource } from '../ledger/ledger-source.ts'
import type { AgreedUse } from '../reconcile/expectations.ts'
import type { KeyName } from '../reconcile/key-name.ts'
import { LogError } from '../reconcile/log-error.ts'
import type { SourcesRequest } from '../reconcile/reconcile-sources.ts'
import { configuredExpect, configuredIdentity, configuredKeys, openLogs } from '../reconciling.ts'
import { CommandError } from './command-error.ts'
import { isExpectedOfLedger, ledgerNamedBy } from './ledger-options.ts'
import type { LedgerOptions } from './ledger-options.ts'

/** Paths of logs. */
export interface LogOptions {
  readonly vaultLog?: readonly string[]
  readonly signinLog?: readonly string[]
  readonly auditLog?: readonly string[]
}

/** What the options of `reconcile` say of what is read; what they do not say, the configuration does. */
export interface ReconcileRequestOptions extends LedgerOptions, LogOptions {
  readonly key?: readonly KeyName[]
  readonly application?: readonly string[]
  readonly principal?: readonly string[]
  readonly address?: readonly string[]
  readonly agreed?: readonly AgreedUse[]
  readonly graceMinutes?: number
}

export type SettledRequest = Omit<SourcesRequest, 'nowMs'>

export interface NamedRequest {
  readonly request: SettledRequest
  readonly source: LedgerSource
  /** Of logs that are files or folders. */
  readonly logPaths: readonly string[]
  /** Absent when it is not named. */
  readonly config?: Config
  /** When nothing more is read. */
  close(): Promise<void>
}

/** Azure's records come within twenty minutes, by what Microsoft says. */
const graceMsDefault = 30 * 60_000

/**
 * What is to be reconciled.
 *
 * @throws CommandError when neither names a vault's log, besides what naming a ledger may come to.
 */
export async function requestNamedBy(options: ReconcileRequestOptions): Promise<NamedRequest> {
  const { source, config } = await ledgerNamedBy(options)
  const sources = logsNamedBy(options, config)
  if (!sources.some(isOfVault)) {
    throw new CommandError(
      "name the vault's log with --vault-log, or in reconcile.sources of the configuration",
    )
  }
  const expect = config && configuredExpect(config)
  const clientId = readEnvironment().identityClientId
  const identity = config && configuredIdentity(config, clientId)
  const logs = await openLogs(sources, identity, systemClock)
  return {
    request: {
      ledger: source,
      sources: logs.sources,
      keys: [...(options.key ?? []), ...(config === undefined ? [] : configuredKeys(config))],
      applicationIds: [
        ...(options.application ?? []),
        ...(config?.applications ?? []).map(({ clientId }) => clientId),
      ],
      expect: {
        principals: options.principal ?? expect?.principals ?? [],
        addresses: options.address ?? expect?.addresses ?? [],
        also: options.agreed ?? expect?.also ?? [],
      },
      graceMs:
        options.graceMinutes === undefined
          ? (config?.reconcile.graceMs ?? graceMsDefault)
          : options.graceMinutes * 60_000,
    },
    source,
    logPaths: sources.flatMap((log) => ('path' in log ? log.path : [])),
    ...(config && { config }),
    close: () => logs.close(),
  }
}

/** What reading a ledger and logs may come to: the message is one for the operator. */
export const isExpectedOfReading = (error: unknown): error is Error =>
  isExpectedOfLedger(error) || error instanceof LogError

/** Options that name logs take the place of all that the configuration names. */
export function logsNamedBy(
  options: LogOptions,
  config: Config | undefined,
): readonly LogSourceConfig[] {
  const named = sourcesIn(options)
  return named.length > 0 ? named : (config?.reconcile.sources ?? [])
}

function sourcesIn({ vaultLog, signinLog, auditLog }: LogOptions): readonly LogSourceConfig[] {
  const kinds = [
    ['vault-log', vaultLog],
    ['signin-log', signinLog],
    ['audit-log', auditLog],
  ] as const
  return kinds.flatMap(([kind, paths = []]) => paths.map((path) => ({ kind, path })))
}

const isOfVault = ({ kind }: LogSourceConfig): boolean => kind === 'vault-log'
