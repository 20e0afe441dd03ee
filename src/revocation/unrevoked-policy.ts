import { type Policy, withoutGrants } from '../policy/policy.ts'
import { isRevoked, type Revocations } from './revocation.ts'

/**
 * What is allowed by grants that are not revoked, nor their issuers. It is made anew only when either
 * has changed: an index over many grants takes milliseconds.
 */
export function createUnrevokedPolicy(
  policy: () => Policy,
  revocations: () => Revocations,
): () => Policy {
  let made: { readonly of: Policy; readonly under: Revocations; readonly left: Policy } | undefined
  return () => {
    const [of, under] = [policy(), revocations()]
    if (made?.of !== of || made.under !== under) {
      const isStopped = ({ name, issuer }: Policy['grants'][number]) =>
        isRevoked(under, { grant: name, issuer })
      made = { of, under, left: withoutGrants(of, isStopped) }
    }
    return made.left
  }
}
