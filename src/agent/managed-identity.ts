import { Secret } from '../base/secret.ts'
import type { WorkloadIdentity } from './workload-identity.ts'

/**
 * The managed identity of the Azure resource that the workload runs on. The SDK finds where its tokens are,
 * and keeps each while it lives.
 *
 * @param audience The service's: an App ID URI in the workload's own tenant.
 * @param clientId Of a user-assigned identity; undefined for the system-assigned one.
 */
export async function managedIdentity(
  audience: string,
  clientId: string | undefined,
): Promise<WorkloadIdentity> {
  // A second of start that other kinds of identity need not spend.
  const { ManagedIdentityCredential } = await import('@azure/identity')
  const credential = new ManagedIdentityCredential(clientId === undefined ? {} : { clientId })
  return {
    token: async () => new Secret((await credential.getToken(`${audience}/.default`)).token),
  }
}
