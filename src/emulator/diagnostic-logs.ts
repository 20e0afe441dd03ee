import { join } from 'node:path'
import type { EmulatorClock } from './emulator-clock.ts'
import type { CredentialsChange } from './entra-log/directory-audit.ts'
import { openEntraLog, type EntraLog } from './entra-log/entra-log.ts'
import type { SignIn } from './entra-log/sign-in.ts'
import { createWorkspaceTables, type WorkspaceTables } from './monitor/workspace-tables.ts'
import type { SeededRandom } from './random.ts'
import type { DeliveryDials } from './vault-log/delivery.ts'
import type { VaultRecord } from './vault-log/record.ts'
import type { BlobShape } from './vault-log/storage-account.ts'
import { openVaultLog, type VaultLog } from './vault-log/vault-log.ts'
import type { Unconfirmed } from './vault/unconfirmed.ts'

/**
 * What diagnostic settings do: whatever vaults and Entra log goes to a storage account and to the tables of
 * the workspaces, and to each of them in its own time.
 */
export interface DiagnosticLogs {
  readonly vaultLog: VaultLog
  /** The storage account: holds `insights-logs-auditevent`. */
  readonly vaultLogFolder: string
  readonly entraLog: EntraLog
  /** Another storage account: holds the containers of sign-ins of service principals and of directory audits. */
  readonly entraLogFolder: string
  readonly workspaceTables: WorkspaceTables
  readonly vaultRecord: (record: VaultRecord) => void
  readonly signIn: (signIn: SignIn) => void
  readonly credentialsChanged: (change: CredentialsChange) => void
}

export interface DiagnosticLogsDeps {
  /** Gets the storage accounts. */
  readonly stateFolder: string
  readonly shape: BlobShape
  /** The same for every place. */
  readonly dials: DeliveryDials
  readonly clock: EmulatorClock
  /** A sequence for each place. */
  readonly random: Readonly<Record<'vaultLog' | 'entraLog' | 'workspaceTables', SeededRandom>>
  readonly unconfirmed: Pick<Unconfirmed, 'blobHour'>
  /** Closes the logs. */
  readonly started: AsyncDisposableStack
}

export function openDiagnosticLogs(deps: DiagnosticLogsDeps): DiagnosticLogs {
  const { stateFolder, shape, dials, clock, random, unconfirmed, started } = deps
  const opened = <Log extends { close(): void }>(log: Log): Log =>
    started.adopt(log, (one) => {
      one.close()
    })
  const vaultLogFolder = join(stateFolder, 'storage-account')
  const vaultLog = opened(
    openVaultLog({
      folder: vaultLogFolder,
      shape,
      dials,
      clock,
      random: random.vaultLog,
      unconfirmed,
    }),
  )
  const entraLogFolder = join(stateFolder, 'entra-storage-account')
  const entraLog = opened(
    openEntraLog({ folder: entraLogFolder, shape, dials, clock, random: random.entraLog }),
  )
  const workspaceTables = opened(
    createWorkspaceTables({ dials, clock, random: random.workspaceTables }),
  )
  return {
    vaultLog,
    vaultLogFolder,
    entraLog,
    entraLogFolder,
    workspaceTables,
    vaultRecord: (record) => {
      vaultLog.record(record)
      workspaceTables.vaultRecord(record)
    },
    signIn: (signIn) => {
      entraLog.signIn(signIn)
      workspaceTables.signIn(signIn)
    },
    credentialsChanged: (change) => {
      entraLog.credentialsChanged(change)
      workspaceTables.credentialsChanged(change)
    },
  }
}
