import type { PrivateAddress } from '../base/address-standing.ts'
import type { AzureLog } from '../base/azure-log.ts'
import type { PostgresDatabase } from '../base/postgres-url.ts'
import type { CallerAlgorithm } from '../base/caller-algorithms.ts'
import type { ClaimRule } from '../base/claim-rules.ts'
import type {
  ApplicationName,
  CertificateName,
  ClientId,
  IssuerName,
  TenantId,
} from '../base/ids.ts'

/**
 * What `countersign.yaml` says, whole: checked, frozen, defaults applied, paths absolute. Each
 * component is given its own section and nothing else. Lists are sorted by name, so that the order of
 * the file decides nothing.
 */
export interface Config {
  /** Origin under which callers reach the service: no slash at its end, never taken from a request. */
  readonly publicUrl: string
  readonly listen: CallersListenConfig
  readonly machines: MachinesConfig
  readonly cloud: CloudConfig
  readonly credential: CredentialKind
  readonly trust: TrustConfig
  readonly certificates: readonly CertificateConfig[]
  readonly applications: readonly ApplicationConfig[]
  readonly issuers: readonly IssuerConfig[]
  readonly grants: GrantsConfig
  readonly ledger: LedgerConfig
  /** Undefined: no heads are signed. */
  readonly heads: HeadsConfig | undefined
  readonly tokenCache: TokenCacheConfig
  readonly governor: GovernorConfig
  /** Undefined: entries are sent nowhere. */
  readonly export: ExportConfig | undefined
  /** Undefined: nobody signs in to the page for auditors, and callers whose grant says so have it. */
  readonly audit: AuditConfig | undefined
  /** For whoever reconciles, and for the page for auditors. */
  readonly expect: ExpectConfig
  /** Likewise. */
  readonly reconcile: ReconcileConfig
}

/** Where callers connect. */
export interface CallersListenConfig extends ListenConfig {
  /** Of one address, IPv6 by its /64. Absent where one address is many callers: behind a proxy, and on loopback. */
  readonly connectionsPerAddressMax?: number
  /** Of one caller, at one time. */
  readonly requestsPerCallerMax: number
  /** Absolute path of a Unix socket: whoever may open it may stop things, without any proof. Absent: there is none. */
  readonly revocationSocket?: string
}

export interface ListenConfig {
  /** Name or address to bind, as the operator wrote it. */
  readonly host: string
  /** 0 takes any free port. */
  readonly port: number
  /** At one time; further ones are cut. */
  readonly connectionsMax: number
  readonly transport: ListenTransport
}

export type ListenTransport =
  /** On loopback only. */
  | { readonly kind: 'plain' }
  | {
      readonly kind: 'tls'
      readonly certFile: string
      readonly keyFile: string
      /** Absent: no client is asked for one, because no issuer would look at it. */
      readonly clientCertificates?: 'asked-for'
    }
  /** Plain http behind a proxy that ends TLS: connections from elsewhere are to be refused. */
  | {
      readonly kind: 'behind-proxy'
      /** IP addresses or CIDR ranges; at least one. */
      readonly addresses: readonly string[]
    }

/**
 * Where probes and scrapers are told what is nobody else's business: counters by reason, states of the
 * vault and Entra.
 */
export type MachinesConfig =
  /** Plain http. */
  | { readonly at: 'own-listener'; readonly listen: ListenConfig }
  /** Nobody but this machine connects there. */
  | { readonly at: 'callers-listener' }
  | { readonly at: 'nowhere' }

export interface CloudConfig {
  readonly name: 'public' | 'usgov' | 'china' | 'custom'
  /** Origin of Entra's token endpoints and of `iss` in its v2 tokens: `https://login.microsoftonline.com`. */
  readonly authority: string
  /** Origin of `iss` in Entra's v1 tokens: `https://sts.windows.net`. */
  readonly authorityV1: string
  /** What the host of every vault ends with, without a dot in front: `vault.azure.net`, or `localhost`. */
  readonly vaultSuffix: string
  /**
   * Vaults are on loopback, where the challenge of a vault cannot name its own host. Only ever true in
   * a custom cloud; elsewhere the SDK's check of the challenge stays on.
   */
  readonly loopbackVaults: boolean
}

/** How the service itself reaches the vaults. `azure-cli` is for trying it out, on loopback. */
export type CredentialKind = 'managed-identity' | 'workload-identity' | 'azure-cli'

export interface TrustConfig {
  /** PEM files with roots that count besides the system's own. */
  readonly caFiles: readonly string[]
}

export interface CertificateConfig {
  readonly name: CertificateName
  /** Origin of the vault: `https://contoso-hsm.vault.azure.net`. */
  readonly vault: string
  /** What the vault calls it: certificate and key have the same name there. */
  readonly nameInVault: string
  /** False accepts a key that is not held by an HSM; exportable keys are never accepted. */
  readonly requireHsm: boolean
  /** Signs when the other one cannot; `requireHsm` holds for it too. Absent: nothing does. */
  readonly standby?: {
    readonly vault: string
    readonly nameInVault: string
  }
}

/** `entra`: PS256 and `x5t#S256`; `entra-legacy`: RS256 and `x5t`. */
export type AssertionProfile = 'entra' | 'entra-legacy'

export interface ApplicationConfig {
  readonly name: ApplicationName
  readonly clientId: ClientId
  readonly certificate: CertificateName
  readonly profile: AssertionProfile
  /** Sends the certificate along, for tenants that trust its issuer instead of the certificate. */
  readonly x5c: boolean
  /** Closed list: no other tenant is ever contacted. At least one, sorted, each once. */
  readonly tenants: readonly TenantId[]
  /** Whether assertions may leave the service. Whoever holds one is the application until it dies. */
  readonly handOut: boolean
}

export type IssuerConfig = TokenIssuerConfig | MtlsIssuerConfig
export type IssuerKind = IssuerConfig['kind']

/** Whose tokens prove callers. */
export type TokenIssuerConfig =
  | OpenIdIssuerConfig
  | EntraIssuerConfig
  | EntraB2cIssuerConfig
  | AzureDevOpsIssuerConfig
  | SpiffeIssuerConfig

/** Whose certificates prove callers: a CA of its own. */
export interface MtlsIssuerConfig {
  readonly kind: 'mtls'
  readonly name: IssuerName
  /** PEM; each certificate in it is trusted by itself. */
  readonly caFile: string
  /** What of a certificate is its holder's name. */
  readonly identity: 'uri' | 'dns' | 'email' | 'thumbprint'
  /** Of the SPIFFE IDs that count; absent: any URI does. */
  readonly trustDomain?: string
  /** Must all hold of every certificate of this issuer; may be empty. */
  readonly require: readonly ClaimRule[]
}

interface IssuerCommon {
  readonly name: IssuerName
  /** Must be in `aud`; `publicUrl` unless the file says otherwise. */
  readonly audience: string
  /** The operator accepts tokens that were meant for others too; belongs in every entry. */
  readonly acceptSharedAudience: boolean
  /** Must all hold of every token of this issuer before any grant is looked at; may be empty. */
  readonly require: readonly ClaimRule[]
  /** `once`: each of its tokens is good for one request that is granted. */
  readonly replay: 'allowed' | 'once'
  readonly algorithms: readonly CallerAlgorithm[]
  /** Longest `exp - iat` that is accepted. */
  readonly maxTokenSeconds: number
  /** What tokens must be bound to (`cnf`) to count at all; absent: those that are not bound count too. */
  readonly boundTokens?: 'certificate' | 'dpop' | 'either'
  /** Whether the host of its keys may be in a network of the operator's own. */
  readonly privateAddress: PrivateAddress
}

export interface OpenIdIssuerConfig extends IssuerCommon {
  readonly kind: 'github' | 'gitlab' | 'kubernetes' | 'oidc'
  /** Compared with `iss` character by character. */
  readonly issuer: string
  /** Absent: found through the issuer's discovery document. */
  readonly jwksUri?: string
}

export interface EntraIssuerConfig extends IssuerCommon {
  readonly kind: 'entra'
  /** Tenants whose applications may call; `iss` and keys follow from {@link CloudConfig}. At least one. */
  readonly tenants: readonly TenantId[]
}

export interface EntraB2cIssuerConfig extends IssuerCommon {
  readonly kind: 'entra-b2c'
  /** What its policies share in `iss`. */
  readonly issuer: string
  /** Lower case, sorted, each once; at least one. */
  readonly policies: readonly string[]
}

export interface AzureDevOpsIssuerConfig extends IssuerCommon {
  readonly kind: 'azure-devops'
  /** GUID of the organisation, lower case. */
  readonly organization: string
  /** What tokens that Azure DevOps issues itself have in `iss`. */
  readonly issuer: string
  /** The Entra tenant that issues tokens of newer service connections; absent: those prove nobody. */
  readonly connectedTenant?: TenantId
}

export interface SpiffeIssuerConfig extends IssuerCommon {
  readonly kind: 'spiffe'
  /** What follows `spiffe://` in the ids of its workloads. */
  readonly trustDomain: string
  readonly bundleUrl: string
}

export interface GrantsConfig {
  readonly folder: string
}

export type LedgerConfig =
  | {
      readonly kind: 'sqlite'
      readonly file: string
      /** Of its disk: with less, nothing is issued. */
      readonly keptBytes: number
    }
  | {
      readonly kind: 'postgres'
      /** As it was written, or a file that holds a URL and is read at each connecting: its password may change. */
      readonly at: { readonly database: PostgresDatabase } | { readonly urlFile: string }
      readonly schema: string
    }

/** How heads of the ledger are signed, and where they are kept besides it. */
export interface HeadsConfig {
  readonly key: {
    /** Origin of the vault. */
    readonly vault: string
    readonly nameInVault: string
    /** False accepts a key that is not held by an HSM; exportable keys are never accepted. */
    readonly requireHsm: boolean
  }
  readonly everySeconds: number
  readonly everyEntries: number
  readonly anchors: readonly { readonly file: string }[]
  /** Where heads come to with the entries that are exported: the service writes nothing there for their sake. */
  readonly workspaces: readonly LogTableConfig[]
}

/** The key that wraps the data keys with which shared tokens are sealed. */
export interface WrappingKeyConfig {
  /** Origin of the vault. */
  readonly vault: string
  readonly nameInVault: string
  /** False accepts a key that is not held by an HSM; exportable keys are never accepted. */
  readonly requireHsm: boolean
}

export interface TokenCacheConfig {
  readonly bytesMax: number
  /** A token that lives shorter than this is not served from the cache. */
  readonly minRemainingSeconds: number
  /** What a token in use has left when its refresh may begin; more than the minimum. */
  readonly refreshAheadSeconds: number
  /** For how long the service uses an assertion again for other scopes of its tenant; 0: never. */
  readonly assertionReuseSeconds: number
  /** Undefined: no replica gives its tokens to others. Means nothing where there is one process only. */
  readonly wrappingKey: WrappingKeyConfig | undefined
}

export interface GovernorConfig {
  /** Share of each vault's documented budget; more than 1 in a custom cloud alone. */
  readonly headroom: number
}

/** Where entries are sent, for whoever watches logs. */
export interface ExportConfig {
  readonly logAnalytics: LogStreamConfig
}

/** A stream of a data collection rule. */
export interface LogStreamConfig {
  /** Origin of the logs ingestion endpoint. */
  readonly endpoint: string
  /** Immutable id of the data collection rule. */
  readonly rule: string
  readonly stream: string
  /** What tokens for it are for, in this cloud. */
  readonly audience: string
}

/** What is taken for us in Azure's logs, and for agreed other uses of our keys. */
export interface ExpectConfig {
  /** Object ids, lower case. Empty: nobody said who we are. */
  readonly principals: readonly string[]
  /** IP addresses or CIDR ranges. Empty: nobody said where we are. */
  readonly addresses: readonly string[]
  readonly also: readonly {
    readonly principal: string
    /** `https://VAULT/keys/NAME`; absent: any key. */
    readonly key?: string
  }[]
}

/** What the ledger is held to, and who is told of what does not fit. */
export interface ReconcileConfig {
  readonly sources: readonly LogSourceConfig[]
  readonly graceMs: number
  /** Undefined: nobody is told. */
  readonly webhook: WebhookConfig | undefined
  /** Undefined: findings are sent nowhere. */
  readonly logAnalytics: LogStreamConfig | undefined
}

/** Where a log is, and what is in it. */
export type LogSourceConfig = {
  readonly kind: AzureLog
} & LogPlaceConfig

export type LogPlaceConfig =
  /** Of a file or folder; absolute. */
  { readonly path: string } | { readonly table: LogTableConfig }

/** A table of one's own: letters, digits and underscores. */
export type OwnTable = `${string}_CL`

/** A table of Log Analytics. */
export interface LogTableConfig {
  /** Id of the workspace, lower case. */
  readonly workspace: string
  readonly table:
    'AZKVAuditLogs' | 'AzureDiagnostics' | 'AADServicePrincipalSignInLogs' | 'AuditLogs' | OwnTable
  /** Origin of the Logs Query API. */
  readonly endpoint: string
  /** What tokens for it are for. */
  readonly audience: string
}

export interface WebhookConfig {
  readonly url: string
  /** With the secret that signs; absent: the environment may have it. */
  readonly secretFile?: string
}

/** How people sign in to the page for auditors. */
export interface AuditConfig {
  readonly oidc: {
    readonly issuer: string
    readonly clientId: string
    /** Absolute. Undefined: a public client. */
    readonly clientSecretFile: string | undefined
    /** Of the ID token: who may. At least one. */
    readonly rules: readonly ClaimRule[]
  }
}
