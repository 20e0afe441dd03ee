import type { IssuerName } from '../base/ids.ts'
import type { Caller } from '../caller/caller.ts'
import type { TokenUse, UseDenial } from '../ledger/token-use.ts'
import type { Ask } from '../policy/decision.ts'

/** The caller is who it says, and its token has been used for what it is good for. */
export type TokenUseRefusal =
  /** Of an issuer with `replay: once`: it was good for one request, and that was granted. */
  | TokenUseRefusalOf<'caller_token_replayed'>
  | TokenUseRefusalOf<'assertions_spent'>
  /** Assertions of another application or tenant were bought with it. */
  | TokenUseRefusalOf<'assertions_elsewhere'>
  /** So many tokens are remembered that this one could not be. */
  | (TokenUseRefusalOf<'token_uses_full'> & { readonly retryAfterSeconds: number })

interface TokenUseRefusalOf<Reason extends string> {
  readonly reason: Reason
  readonly issuer: IssuerName
  /** For the protected log. */
  readonly detail: string
}

/**
 * Ours, not Entra's: an assertion is a whole application, so a caller token that was stolen buys few of them,
 * and of one application in one tenant.
 */
const assertionsPerToken = 10

/** What a request takes of its caller's token; undefined: as many as there come, or a certificate is the proof. */
export function tokenUseFor(
  { tokenId, expiresAtSeconds, issuer }: Caller,
  ask: Ask,
  onceIssuers: ReadonlySet<IssuerName>,
): TokenUse | undefined {
  if (tokenId === undefined) return undefined
  const isOnce = onceIssuers.has(issuer)
  if (!isOnce && ask.want === 'token') return undefined
  return {
    tokenId,
    purpose: `${ask.application} ${ask.tenant}`,
    usesMax: isOnce ? 1 : assertionsPerToken,
    expiresAtSeconds,
  }
}

export function useRefusal(
  denial: UseDenial,
  { issuer, subject }: Caller,
  onceIssuers: ReadonlySet<IssuerName>,
): TokenUseRefusal {
  const about = { issuer, detail: `subject ${subject}` }
  switch (denial.why) {
    case 'full': {
      const { retryAfterSeconds } = denial
      return { reason: 'token_uses_full', ...about, retryAfterSeconds }
    }
    case 'elsewhere':
      return { reason: 'assertions_elsewhere', ...about }
    case 'spent':
      return {
        reason: onceIssuers.has(issuer) ? 'caller_token_replayed' : 'assertions_spent',
        ...about,
      }
  }
}
