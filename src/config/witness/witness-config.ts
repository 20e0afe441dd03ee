import type { AgentIdentityConfig, AgentServiceConfig } from '../agent/agent-config.ts'
import type { CloudConfig, ExpectConfig, LogSourceConfig } from '../config.ts'

/** What `witness.yaml` says, whole: checked, frozen, defaults applied, paths absolute. */
export interface WitnessConfig {
  readonly feed: WitnessFeedConfig
  /** Files with the public keys of heads. */
  readonly headKeyFiles: readonly string[]
  readonly key: WitnessKeyConfig
  readonly storeFile: string
  /** Which ledger it is, as verify prints it; absent: the one that is seen first. */
  readonly ledger?: string
  readonly anchors: readonly { readonly file: string }[]
  readonly everySeconds: number
  /** How long the ledger may be without a new head. */
  readonly silentAfterSeconds: number
  /** Absent: nothing is reconciled. */
  readonly reconcile?: WitnessReconcileConfig
  /** Where metrics are written, as text; absent: nowhere. */
  readonly metricsFile?: string
}

/** What the witness signs with. */
export type WitnessKeyConfig =
  /** Its private key. */
  { readonly in: 'file'; readonly file: string } | WitnessVaultKeyConfig

export interface WitnessVaultKeyConfig {
  readonly in: 'vault'
  /** Origin of the vault. */
  readonly vault: string
  readonly nameInVault: string
  /** False accepts a key that no HSM holds; exportable keys are never accepted. */
  readonly requireHsm: boolean
  readonly credential: 'managed-identity' | 'workload-identity'
  readonly cloud: CloudConfig
}

export type WitnessFeedConfig =
  | {
      readonly from: 'service'
      readonly service: AgentServiceConfig
      readonly identity: AgentIdentityConfig
    }
  /** A file, postgres://…, or a file that holds such a URL. */
  | { readonly from: 'ledger'; readonly ledger: string }

/** What the witness holds the ledger to, by an identity of its own. */
export interface WitnessReconcileConfig {
  /** One of a vault at least. */
  readonly sources: readonly LogSourceConfig[]
  /** Who asks for workspaces, and where. */
  readonly credential: 'managed-identity' | 'workload-identity'
  readonly cloud: CloudConfig
  /** `https://VAULT/keys/NAME`, besides those in the ledger. */
  readonly keys: readonly string[]
  /** Client ids, lower case, besides those that sign-ins show. */
  readonly applications: readonly string[]
  readonly expect: ExpectConfig
  readonly everySeconds: number
  readonly graceMinutes: number
}
