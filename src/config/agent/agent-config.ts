import type { ApplicationName, ClientId, Scope, TenantId } from '../../base/ids.ts'

/**
 * What `agent.yaml` says, whole: checked, frozen, defaults applied, paths absolute.
 */
export interface AgentConfig {
  readonly service: AgentServiceConfig
  readonly identity: AgentIdentityConfig
  readonly listen: AgentListenConfig
  /** In the order of the file; no two of one resource. */
  readonly resources: readonly AgentResourceConfig[]
  readonly shapes: AgentShapesConfig
  /** Where programs that the agent does not start find its variables; absent: nowhere. */
  readonly environmentFile?: string
}

export interface AgentServiceConfig {
  /** `https://countersign.contoso.example`; http on loopback alone. */
  readonly origin: string
  /** PEM with roots that count besides the system's own. */
  readonly caFile?: string
  /** What the platform is asked for: the audience of the workload's own tokens. */
  readonly audience: string
}

/** How the agent proves to the service for whom it asks. */
export type AgentIdentityConfig =
  | { readonly kind: 'token-file'; readonly file: string }
  | { readonly kind: 'github-actions' }
  | { readonly kind: 'azure-pipelines'; readonly serviceConnection: string }
  | { readonly kind: 'certificate'; readonly certFile: string; readonly keyFile: string }
  | { readonly kind: 'managed-identity'; readonly clientId?: ClientId }

export type AgentListenConfig =
  | {
      /** An address of loopback, never a name: a name is what somebody's file of hosts says. */
      readonly host: string
      /** 0 takes any free port. */
      readonly port: number
    }
  | {
      readonly socket: string
      /** The user of the agent alone; or the group of the folder too. */
      readonly openTo: 'owner' | 'group'
    }

/** What a program gets when it asks for a token of a resource. */
export interface AgentResourceConfig {
  /** As programs ask for it, normalised like a scope. */
  readonly resource: Scope
  readonly application: ApplicationName
  readonly tenant: TenantId
  readonly scope: Scope
  /** What a program may name as the identity that it wants; absent: it may name none. */
  readonly clientId?: ClientId
}

/** Which endpoints there are; absent: it is not there. */
export interface AgentShapesConfig {
  readonly appService?: 'on'
  readonly imds?: 'on'
  readonly arc?: { readonly readableBy: 'owner' | 'group' }
  readonly cloudShell?: 'on'
  readonly vmExtension?: 'on'
  readonly requestUrl?: { readonly application: ApplicationName; readonly tenant: TenantId }
  readonly tokenFile?: {
    readonly file: string
    readonly tenant: TenantId
    readonly clientId: ClientId
    /** Whose assertions are in the file; absent: the workload's own token is. */
    readonly application?: ApplicationName
  }
}
