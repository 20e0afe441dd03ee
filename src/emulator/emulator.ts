import { z } from 'zod'
import type { ClientAuthority } from './clients/client-authority.ts'
import { startControlInterface } from './control-interface.ts'
import { openDiagnosticLogs, type DiagnosticLogs } from './diagnostic-logs.ts'
import { createEmulatorClock, type EmulatorClock } from './emulator-clock.ts'
import type { EntraLog } from './entra-log/entra-log.ts'
import { startEntra, type Entra } from './entra/entra.ts'
import { createFaultList, type FaultList } from './faults.ts'
import { startCallerIssuers, type CallerIssuers } from './issuers/caller-issuers.ts'
import {
  startManagedIdentities,
  type ManagedIdentities,
} from './managed-identity/managed-identities.ts'
import { createPrincipalTokens } from './managed-identity/principal-tokens.ts'
import { answerLimitsSchema, type AnswerLimits } from './monitor/logs-query.ts'
import { startMonitor, type Monitor } from './monitor/monitor.ts'
import type { WorkspaceTables } from './monitor/workspace-tables.ts'
import { createSeededRandom } from './random.ts'
import { startResourceServers, type ResourceServers } from './resource-servers.ts'
import { createTrustAnchors, type TrustAnchors } from './trust-anchors.ts'
import { deliverySchema, type DeliveryDials } from './vault-log/delivery.ts'
import type { BlobShape } from './vault-log/storage-account.ts'
import type { VaultLog } from './vault-log/vault-log.ts'
import { unconfirmedSchema, type Unconfirmed } from './vault/unconfirmed.ts'
import { startVaults, type RunningVault } from './vaults.ts'
import type { World } from './world.ts'

export interface EmulatorOptions {
  readonly world: World
  /** Gets `ca.pem`, `client-ca.pem` and the storage account with the vaults' logs; made where it does not exist. */
  readonly stateFolder: string
  /** Decides lateness, disorder, duplicates and the lottery of faults; never keys. */
  readonly randomSeed?: number
  readonly vaultLog?: Partial<DeliveryDials> & { readonly shape?: BlobShape }
  /** Of queries of Log Analytics; what is absent is as Azure documents it. */
  readonly answers?: Partial<AnswerLimits>
  /** Multiplies the request budgets of all vaults; 1 is what Azure documents. */
  readonly throttleScale?: number
  readonly unconfirmed?: Partial<Unconfirmed>
  /** 0 lets the system choose. */
  readonly controlPort?: number
}

/** Where everything is: what goes into the ready file. */
export interface EmulatorEndpoints
  extends
    ManagedIdentities,
    ResourceServers,
    Pick<TrustAnchors, 'caFile' | 'clientCaFile'>,
    Pick<DiagnosticLogs, 'vaultLogFolder' | 'entraLogFolder'> {
  /** Origin of the emulated Entra, as `https://127.0.0.1:41234`. */
  readonly authority: string
  /** Vault URLs by name. */
  readonly vaults: Readonly<Record<string, string>>
  /** `iss` of each issuer of caller tokens, by name. */
  readonly issuers: Readonly<Record<string, string>>
  /** Logs ingestion endpoint of all data collection rules. */
  readonly logsIngestion: string
  /** Where the workspaces of Log Analytics are queried. */
  readonly logsQuery: string
  readonly control: { readonly origin: string; readonly token: string }
}

export interface Emulator {
  readonly endpoints: EmulatorEndpoints
  readonly clock: EmulatorClock
  readonly faults: FaultList
  readonly entra: Entra
  readonly issuers: CallerIssuers
  readonly clients: ClientAuthority
  readonly vaults: readonly RunningVault[]
  readonly vaultLog: VaultLog
  readonly logsIngestion: Monitor['logsIngestion']
  readonly logsQuery: Monitor['logsQuery']
  readonly workspaceTables: WorkspaceTables
  readonly entraLog: EntraLog
  /** Ends every connection, frees every port and closes every file; nothing of it goes on. */
  close(): Promise<void>
}

/** Builds the small cloud of a world and waits until all of it answers. Reads like its parts list. */
export async function startEmulator(options: EmulatorOptions): Promise<Emulator> {
  const { world, stateFolder, randomSeed = 1 } = options
  // Owns what has been started, so that a start that fails half-way leaves nothing running.
  await using started = new AsyncDisposableStack()
  const unconfirmed = parseOption('unconfirmed', unconfirmedSchema, options.unconfirmed)
  const random = randomSequencesFrom(randomSeed)
  const clock = createEmulatorClock()
  const faults = createFaultList(random.faults)
  const { tls, clients, ...anchors } = await createTrustAnchors({ clock, stateFolder, started })
  const shared = { world, tls, clock, faults, started }

  const { shape = 'json-lines', ...dials } = options.vaultLog ?? {}
  const logs = openDiagnosticLogs({
    stateFolder,
    shape,
    dials: parseOption('vaultLog', deliverySchema, dials),
    clock,
    random,
    unconfirmed,
    started,
  })
  const { vaultLog, entraLog, workspaceTables } = logs

  const issuers = await startCallerIssuers(shared)
  const { entra, authorityOrigin } = await startEntra({
    ...shared,
    random: random.entra,
    federatedIssuers: (name) => issuers.find(name),
    signedIn: logs.signIn,
  })
  const { accessTokens } = entra
  const vaults = await startVaults({
    ...shared,
    authorityOrigin,
    accessTokens,
    record: logs.vaultRecord,
    throttleScale: options.throttleScale ?? 1,
    unconfirmed,
  })
  registerCertificates(world, vaults, entra)

  const issueToken = createPrincipalTokens(accessTokens, entra.directory)
  const managedIdentities = await startManagedIdentities({
    ...shared,
    issuers,
    authorityOrigin,
    issueToken,
    stateFolder,
  })
  const resourceServers = await startResourceServers({
    ...shared,
    authorityOrigin,
    accessTokens,
    caPem: anchors.caPem,
  })
  const monitor = await startMonitor({
    ...shared,
    accessTokens,
    tables: workspaceTables,
    limits: parseOption('answers', answerLimitsSchema, options.answers),
    unconfirmed,
  })
  const { logsIngestion, logsQuery } = monitor

  const control = await startControlInterface({
    ...shared,
    logs,
    vaults,
    entra,
    issuers,
    clients,
    issueToken,
    monitor,
    port: options.controlPort ?? 0,
  })

  const running = started.move()
  return {
    endpoints: {
      authority: authorityOrigin,
      vaults: urlsOf(vaults),
      issuers: urlsOf(issuers.list()),
      ...managedIdentities,
      ...resourceServers,
      logsIngestion: logsIngestion.origin,
      logsQuery: logsQuery.origin,
      control: { origin: control.origin, token: control.token },
      caFile: anchors.caFile,
      clientCaFile: anchors.clientCaFile,
      vaultLogFolder: logs.vaultLogFolder,
      entraLogFolder: logs.entraLogFolder,
    },
    clock,
    faults,
    entra,
    issuers,
    clients,
    vaults,
    vaultLog,
    logsIngestion,
    logsQuery,
    workspaceTables,
    entraLog,
    close: () => running.disposeAsync(),
  }
}

/** One for each part: how often faults are drawn must not change what a log does. */
const randomSequencesFrom = (seed: number) => ({
  faults: createSeededRandom(seed),
  vaultLog: createSeededRandom(seed + 1),
  entra: createSeededRandom(seed + 2),
  entraLog: createSeededRandom(seed + 3),
  workspaceTables: createSeededRandom(seed + 4),
})

const urlsOf = (parts: readonly { readonly name: string; readonly url: string }[]) =>
  Object.fromEntries(parts.map(({ name, url }) => [name, url]))

/** @throws RangeError that names the option, what is wrong with it, and what it may be. */
function parseOption<Schema extends z.ZodType>(name: string, schema: Schema, value: unknown = {}) {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  throw new RangeError(`${name}: ${z.prettifyError(result.error)}`)
}

/** @throws Error when an application names a certificate that no vault has. */
function registerCertificates(
  world: World,
  vaults: readonly RunningVault[],
  { certificates }: Entra,
): void {
  for (const application of world.applications) {
    for (const reference of application.certificates) {
      const [vaultName, name = ''] = reference.split('/')
      const vault = vaults.find((one) => one.name === vaultName)
      const current = vault?.store.find(name)?.versions.at(-1)
      if (current === undefined) {
        throw new Error(`application ${application.name}: no vault has certificate '${reference}'`)
      }
      certificates.register(application.name, current.der)
    }
  }
}
