import type { IssuerName } from '../base/ids.ts'
import type { CallerRefusal } from '../caller/caller.ts'
import type { PolicyRefusal } from '../policy/decision.ts'

/** Every reason for which nothing is revoked or lifted, or nobody is told what stands. */
export type RevocationRefusal =
  | CallerRefusal
  | PolicyRefusal
  /** The caller has as many requests of this kind under way as one may; `detail` is for the protected log. */
  | { readonly reason: 'too_many_requests'; readonly issuer: IssuerName; readonly detail: string }
  /** Whoever asks is stopped, or what lets it ask is. */
  | { readonly reason: 'revoked' }
  /** It would leave whoever asks unable to lift it, which was not said to be meant. */
  | { readonly reason: 'revokes_its_maker' }
  /** No revocation of this id stands. */
  | { readonly reason: 'revocation_unknown' }
  | { readonly reason: 'revocations_too_many' }
