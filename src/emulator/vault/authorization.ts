import { randomBytes } from 'node:crypto'
import type { World, WorldVault } from '../world.ts'
import { type AccessPolicy, isPermittedBy, permissionFor } from './access-policy.ts'
import { vaultResource } from './arm.ts'
import type { VaultCaller } from './bearer.ts'
import type { VaultOperation } from './operation.ts'
import type { NetworkAccess } from './network-access.ts'
import {
  deniedByConnection,
  deniedByFirewall,
  deniedByPolicy,
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

/** How a vault decides who may do what: by one of two models. */
export type VaultAccess =
  | { readonly model: 'roles'; readonly assignments: readonly RoleAssignment[] }
  | { readonly model: 'policies'; readonly policies: readonly AccessPolicy[] }

/** @throws Error when an assignment or a policy names nobody of the world. */
export function vaultAccessFrom(
  vault: WorldVault,
  world: Pick<World, 'principals' | 'applications' | 'tenants'>,
): VaultAccess {
  const tenant = vault.tenant ?? world.tenants[0]?.name ?? ''
  const principalIdOf = (name: string, given: string) => {
    const principalId = servicePrincipalIn(world, tenant, name)
    if (principalId === undefined) {
      throw new Error(`vault ${vault.name}: ${given} for unknown principal '${name}'`)
    }
    return principalId.toLowerCase()
  }
  if (vault.accessPolicies !== undefined) {
    const policies = vault.accessPolicies.map(({ principal, ...permissions }) => ({
      principalId: principalIdOf(principal, 'access policy'),
      ...permissions,
    }))
    return { model: 'policies', policies }
  }
  const assignments = vault.roleAssignments.map(({ principal, actions, scope }) => ({
    id: randomBytes(16).toString('hex'),
    principalId: principalIdOf(principal, 'role assignment'),
    actions: new Set<string>(actions),
    scope: scope?.toLowerCase(),
  }))
  return { model: 'roles', assignments }
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

/** That a caller may do something. */
export interface Allowance {
  /** Of the assignment that allows it; a policy has no id. */
  readonly assignmentId?: string
}

/** Undefined where nothing allows the caller this operation. */
export function allowanceFor(
  access: VaultAccess,
  caller: VaultCaller,
  operation: VaultOperation,
): Allowance | undefined {
  if (access.model === 'roles') {
    const assignment = assignmentFor(access.assignments, caller, operation)
    return assignment && { assignmentId: assignment.id }
  }
  const isPermitted = access.policies.some(
    (policy) =>
      policy.principalId === caller.objectId.toLowerCase() && isPermittedBy(policy, operation),
  )
  return isPermitted ? {} : undefined
}

/**
 * The assignment that allows the caller this operation, or undefined. A scope names an object, never
 * one of its versions; what asks the vault itself, such as a list, needs the whole vault.
 */
function assignmentFor(
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
  { model }: Pick<VaultAccess, 'model'>,
  vault: Pick<WorldVault, 'name' | 'location'>,
  caller: VaultCaller,
  operation: VaultOperation,
): VaultError {
  if (model === 'policies') {
    const permission = `${operation.collection} ${permissionFor(operation)}`
    return deniedByPolicy({ ...namesOf(vault, caller), permission })
  }
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
