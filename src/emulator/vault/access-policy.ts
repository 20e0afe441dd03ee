import type { VaultOperation } from './operation.ts'

/** What a principal may do with all keys, certificates and secrets of a vault. */
export interface AccessPolicy {
  readonly principalId: string
  readonly keys: readonly string[]
  readonly certificates: readonly string[]
  readonly secrets: readonly string[]
}

export const isPermittedBy = (policy: AccessPolicy, operation: VaultOperation): boolean =>
  policy[operation.collection].includes(permissionFor(operation))

const prefixes = { keys: 'Key', certificates: 'Certificate', secrets: 'Secret' } as const

/** Where the permission is not called like the operation. */
const otherNames: Readonly<Record<string, string>> = {
  KeyListVersions: 'list',
  KeyWrap: 'wrapKey',
  KeyUnwrap: 'unwrapKey',
  CertificateListVersions: 'list',
  CertificatePolicyGet: 'get',
  CertificatePendingGet: 'get',
  SecretListVersions: 'list',
}

/**
 * As Azure Resource Manager spells it. That refusals do too is proven for `get`, `list`, `sign` and `purge`; the
 * others follow the pattern.
 */
export function permissionFor({ name, collection }: VaultOperation): string {
  const word = name.slice(prefixes[collection].length)
  return otherNames[name] ?? word.charAt(0).toLowerCase() + word.slice(1)
}
