import type { TokenCredential } from '@azure/core-auth'
import type { HttpClient } from '@azure/core-rest-pipeline'
import { Agent } from 'undici'
import { createUndiciHttpClient } from './undici-http-client.ts'

/** How the service shows the vault who it is. */
export type CredentialKind = 'managed-identity' | 'workload-identity' | 'azure-cli'

/** Whether Microsoft knows of it: of the authority of a private cloud it can say nothing. */
export type AuthorityKind = 'of-microsoft' | 'private'

/** What every Key Vault client of ours is made with. */
export interface VaultAccess {
  readonly credential: TokenCredential
  readonly clientOptions: VaultClientOptions
  /** For reading a key or a certificate, and for wrapping; the credential's own retries included. */
  readonly readTimeoutMs: number
  close(): Promise<void>
}

export interface VaultClientOptions {
  readonly httpClient: HttpClient
  /** Nobody retries: a retried POST is a second signature that the ledger would not know. */
  readonly retryOptions: { readonly maxRetries: 0 }
  /** True for loopback vaults only: their host can never match the resource of the challenge. */
  readonly disableChallengeResourceVerification: boolean
}

/** The vault is one host: a few dozen connections carry all that its budget allows. */
const connectionsMax = 64

/** Bundles are a few KiB. */
const answerBytesMax = 1024 * 1024

/** Nobody waits for it but the start, which tries again. */
const readTimeoutMs = 15_000

/**
 * @param clientId Of a user-assigned identity; absent for the system-assigned one.
 * @param loopbackVaults Whether the configured cloud keeps its vaults on loopback.
 * @param authority Of the configured cloud.
 */
export async function createVaultAccess(options: {
  readonly kind: CredentialKind
  readonly clientId: string | undefined
  readonly loopbackVaults: boolean
  readonly authority: AuthorityKind
}): Promise<VaultAccess> {
  const agent = new Agent({
    connections: connectionsMax,
    keepAliveTimeout: 60_000,
    maxResponseSize: answerBytesMax,
  })
  return {
    credential: await credentialFrom(options),
    clientOptions: {
      httpClient: createUndiciHttpClient(agent),
      retryOptions: { maxRetries: 0 },
      disableChallengeResourceVerification: options.loopbackVaults,
    },
    readTimeoutMs,
    close: () => agent.close(),
  }
}

/**
 * Loads `@azure/identity` only here: it is the slowest import of the service, and not every verb needs it.
 * What is taken from it is named, so that a bundle leaves out the rest.
 */
async function credentialFrom({
  kind,
  clientId,
  authority,
}: {
  readonly kind: CredentialKind
  readonly clientId: string | undefined
  readonly authority: AuthorityKind
}): Promise<TokenCredential> {
  const { AzureCliCredential, ManagedIdentityCredential, WorkloadIdentityCredential } =
    await import('@azure/identity')
  const chosen = clientId === undefined ? {} : { clientId }
  switch (kind) {
    case 'managed-identity':
      return new ManagedIdentityCredential(chosen)
    case 'workload-identity':
      return new WorkloadIdentityCredential({
        ...chosen,
        // The challenge of Key Vault names its own tenant, which may not be ours.
        additionallyAllowedTenants: ['*'],
        // Else the SDK asks Microsoft first, from wherever there may be no way there.
        disableInstanceDiscovery: authority === 'private',
      })
    case 'azure-cli':
      return new AzureCliCredential({ additionallyAllowedTenants: ['*'] })
  }
}
