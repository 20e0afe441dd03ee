import type { ProvingRefusal } from '../caller/proven-caller.ts'
import type { PolicyRefusal } from '../policy/decision.ts'

/** Every reason for which nothing is revoked or lifted, or nobody is told what stands. */
export type RevocationRefusal =
  | ProvingRefusal
  | PolicyRefusal
  /** Whoever asks is stopped, or what lets it ask is. */
  | { readonly reason: 'revoked' }
  /** It would leave whoever asks unable to lift it, which was not said to be meant. */
  | { readonly reason: 'revokes_its_maker' }
  /** No revocation of this id stands. */
  | { readonly reason: 'revocation_unknown' }
  | { readonly reason: 'revocations_too_many' }
