import { randomBytes } from 'node:crypto'
import type { World, WorldVault } from '../world.ts'
import { vaultResource } from './arm.ts'
import type { VaultCaller } from './bearer.ts'
import type { VaultOperation } from './operation.ts'
import type { NetworkAccess } from './network-access.ts'
import {
  deniedByConnection,
  deniedByFirewall,
  deniedByRbac,
  type VaultError,
} from './vault-error.ts'

export interface RoleAssignment {
  /** 32 hex digits, as `appliedAssignmentId` in audit records. */
  readonly id: string
  readonly principalId: string
  readonly actions: ReadonlySet<string>
  /** `keys/name` in lower case; undefined is the whole vault. */
  readonly scope: string | undefined
}

/** @throws Error when an assignment names nobody of the world. */
export function roleAssignmentsFrom(
  vault: WorldVault,
  world: Pick<World, 'principals' | 'applications' | 'tenants'>,
): readonly RoleAssignment[] {
  const tenant = vault.tenant ?? world.tenants[0]?.name ?? ''
  return vault.roleAssignments.map(({ principal: name, actions, scope }) => {
    const principalId = servicePrincipalIn(world, tenant, name)
    if (principalId === undefined) {
      throw new Error(`vault ${vault.name}: role assignment for unknown principal '${name}'`)
    }
    return {
      id: randomBytes(16).toString('hex'),
      principalId: principalId.toLowerCase(),
      actions: new Set<string>(actions),
      scope: scope?.toLowerCase(),
    }
  })
}

/** Object id of a principal, or of an application in a tenant where it is present. */
export function servicePrincipalIn(
  { principals, applications }: Pick<World, 'principals' | 'applications'>,
  tenant: string,
  name: string,
): string | undefined {
  const presences = applications.find((one) => one.name === name)?.presentIn
  return (
    principals.find((one) => one.name === name) ?? presences?.find((one) => one.tenant === tenant)
  )?.objectId
}

/**
 * The assignment that allows the caller this operation, or undefined. A scope names an object, never
 * one of its versions; what asks the vault itself, such as a list, needs the whole vault.
 */
export function assignmentFor(
  assignments: readonly RoleAssignment[],
  caller: VaultCaller,
  operation: VaultOperation,
): RoleAssignment | undefined {
  const object = `${operation.collection}/${operation.object?.toLowerCase() ?? ''}`
  return assignments.find(
    ({ principalId, actions, scope }) =>
      principalId === caller.objectId.toLowerCase() &&
      actions.has(operation.action) &&
      (scope === undefined || scope === object),
  )
}

export function denialFor(
  vault: Pick<WorldVault, 'name' | 'location'>,
  caller: VaultCaller,
  operation: VaultOperation,
): VaultError {
  const object =
    operation.object === undefined ? '' : `/${operation.collection}/${operation.object}`
  return deniedByRbac({
    ...namesOf(vault, caller),
    action: `Microsoft.KeyVault/vaults/${operation.action}`,
    resource: `${vaultResource(vault.name)}${object}`,
  })
}

/** Undefined when the address is let in. */
export function networkDenialFor(
  vault: Pick<WorldVault, 'name' | 'location'>,
  caller: VaultCaller,
  network: Pick<NetworkAccess, 'refusalOf'>,
  address: string,
): VaultError | undefined {
  switch (network.refusalOf(address)) {
    case undefined:
      return undefined
    case 'ForbiddenByFirewall':
      return deniedByFirewall(namesOf(vault, caller), address)
    case 'ForbiddenByConnection':
      return deniedByConnection(namesOf(vault, caller))
  }
}

const namesOf = (vault: Pick<WorldVault, 'name' | 'location'>, caller: VaultCaller) => ({
  caller: `appid=${caller.applicationId};oid=${caller.objectId};iss=${caller.issuer}`,
  vault: `${vault.name};location=${vault.location}`,
})
