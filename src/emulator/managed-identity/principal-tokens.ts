import type { AccessTokens } from '../entra/access-tokens.ts'
import type { Directory } from '../entra/directory.ts'
import { passed, type Checked } from '../entra/refusal.ts'
import type { WorldPrincipal } from '../world.ts'
import { managedIdentityResourceId } from './resource-id.ts'

export interface PrincipalToken {
  readonly accessToken: string
  readonly expiresInSeconds: number
}

/** Tokens that a principal gets for itself, without any assertion: how the platform hands them out. */
export type IssuePrincipalToken = (
  principal: WorldPrincipal,
  resourceName: string,
) => Promise<Checked<PrincipalToken>>

export function createPrincipalTokens(
  accessTokens: AccessTokens,
  directory: Directory,
): IssuePrincipalToken {
  return async (principal, resourceName) => {
    const tenant = directory.tenantNamed(principal.tenant)
    const resource = directory.resource(tenant, resourceName)
    if (!resource.ok) return resource
    const { clientId, objectId, kind } = principal
    const identity =
      kind === 'managed-identity'
        ? { managedIdentityResourceId: managedIdentityResourceId(principal, tenant.id) }
        : {}
    const subject = { tenantId: tenant.id, clientId, objectId, ...identity }
    return passed({
      accessToken: await accessTokens.issue(subject, resource.value),
      expiresInSeconds: resource.value.tokenSeconds,
    })
  }
}
