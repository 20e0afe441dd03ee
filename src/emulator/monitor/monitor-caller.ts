import type { AccessTokens } from '../entra/access-tokens.ts'
import type { EmulatedRequest } from '../exchange.ts'
import type { World } from '../world.ts'

/** Whose token a request of Azure Monitor has. */
export interface MonitorCaller {
  readonly tenantId: string
  readonly objectId: string
}

/** Undefined where the token is none of ours, or for somebody else. */
export async function monitorCallerOf(
  { headers }: EmulatedRequest,
  accessTokens: Pick<AccessTokens, 'verify'>,
  audience: readonly string[],
): Promise<MonitorCaller | undefined> {
  const token = /^bearer +(\S+)$/i.exec(headers.authorization ?? '')?.[1]
  if (token === undefined) return undefined
  const verdict = await accessTokens.verify(token, { audience })
  return verdict.ok ? { tenantId: verdict.claims.tid, objectId: verdict.claims.oid } : undefined
}

/** Whether the caller is one of these principals, in the tenant of that name. */
export function isOneOf(
  { tenantId, objectId }: MonitorCaller,
  names: readonly string[],
  tenant: string,
  { tenants, principals }: World,
): boolean {
  const isAtHome = tenants.some(({ id, name }) => id === tenantId && name === tenant)
  return isAtHome && principals.some((one) => one.objectId === objectId && names.includes(one.name))
}
