import type { IssuerName } from '../base/ids.ts'
import type { CallerRefusal } from '../caller/caller.ts'
import type { PolicyRefusal } from '../policy/decision.ts'
import type { TokenUseRefusal } from './token-use.ts'

/** Every reason for which we may say no. What goes wrong in the world is a failure, and thrown. */
export type Refusal =
  | CallerRefusal
  | PolicyRefusal
  | TokenUseRefusal
  /** The caller has as many requests under way as one may; `detail` is for the protected log. */
  | { readonly reason: 'too_many_requests'; readonly issuer: IssuerName; readonly detail: string }
  /** The certificate of the application is not proven yet. */
  | { readonly reason: 'not_ready' }
  /** It would be given, and somebody has stopped the caller, what gives it, or what it is for. */
  | { readonly reason: 'revoked' }
