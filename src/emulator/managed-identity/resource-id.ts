import type { WorldPrincipal } from '../world.ts'

/** There are no subscriptions here, so the tenant's id stands for one. */
export const managedIdentityResourceId = ({ name, tenant }: WorldPrincipal, tenantId: string) =>
  `/subscriptions/${tenantId}/resourcegroups/${tenant}/providers/` +
  `Microsoft.ManagedIdentity/userAssignedIdentities/${name}`
