import type { WorldPrincipal } from '../world.ts'

/** The identity that a request names, in whichever way; null or undefined: not in this one. */
export interface NamedIdentity {
  readonly clientId?: string | null | undefined
  readonly objectId?: string | null | undefined
  readonly resourceId?: string | null | undefined
}

/** A client may name the identity it wants; the endpoint has already selected the one it can have. */
export function isMeant(
  { clientId, objectId, name }: WorldPrincipal,
  named: NamedIdentity,
): boolean {
  const agrees = (wanted: string | null | undefined, own: string) =>
    (wanted ?? own).toLowerCase() === own.toLowerCase()
  const ending = `/userassignedidentities/${name.toLowerCase()}`
  return (
    agrees(named.clientId, clientId) &&
    agrees(named.objectId, objectId) &&
    (named.resourceId ?? ending).toLowerCase().endsWith(ending)
  )
}
