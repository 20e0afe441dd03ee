import type { IdentitySource, WorldPrincipal } from '../world.ts'

/** Whether programs of the principal find its tokens there. */
export const hasSource = ({ kind, sources }: WorldPrincipal, source: IdentitySource): boolean =>
  kind === 'managed-identity' && sources.includes(source)
