import type { AttemptId } from '../base/ids.ts'
import type { PresentedProofs } from '../caller/caller.ts'
import type { Ask } from '../policy/decision.ts'
import type { Refusal } from './refusal.ts'

export interface IssuanceRequest<A extends Ask = Ask> {
  /** Made for this request, and told to the caller whatever comes of it. */
  readonly attempt: AttemptId
  /** What the request has of proofs; it may be none. */
  readonly proofs: PresentedProofs
  readonly ask: A
}

export interface Refused {
  readonly ok: false
  readonly refusal: Refusal
}
