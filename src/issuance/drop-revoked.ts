import type { GrantName } from '../base/ids.ts'
import { isRevoked, stopping } from '../revocation/revocation.ts'
import type { RevocationsInForce } from '../revocation/revocations-in-force.ts'
import type { TokenCache } from '../token-cache/token-cache.ts'
import type { InternalAssertions } from './internal-assertions.ts'

/**
 * From now on drops the tokens and assertions that are at hand and a revocation stops: those of the
 * revocations that stand already, and of each that is heard of later. One of a caller drops nothing: a
 * token names none.
 */
export function dropRevoked(deps: {
  readonly revocations: Pick<RevocationsInForce, 'watch'>
  readonly cache: Pick<TokenCache, 'drop'>
  readonly assertions: Pick<InternalAssertions, 'drop'>
  /** Whose callers the grant is for; undefined of one that is not in force any more. */
  readonly issuerOf: (grant: GrantName) => string | undefined
}): void {
  const { revocations, cache, assertions, issuerOf } = deps
  revocations.watch((made) => {
    const stands = stopping(made.map(({ revoked }) => revoked))
    cache.drop(({ key: { application, tenant }, grant, keyId }) =>
      isRevoked(stands, { application, tenant, keyId, grant, issuer: issuerOf(grant) }),
    )
    assertions.drop((held) => isRevoked(stands, held))
  })
}
