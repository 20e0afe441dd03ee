import type { AttemptId, IssuerName } from '../base/ids.ts'
import {
  type Caller,
  CallerError,
  type CallerIdentifier,
  type CallerRefusal,
  type Identification,
  type PresentedProofs,
} from './caller.ts'
import type { CallerSlots } from './caller-slots.ts'

/** What of a request is needed to say no to it: the attempt is told to whoever asks, whatever comes of it. */
export interface ProvingRequest {
  readonly attempt: AttemptId
  readonly proofs: PresentedProofs
}

export interface TurningAwayDeps {
  /** Counted, and not written down: strangers could ask for ever. */
  readonly turnedAway: { count(reason: string, issuer: IssuerName | undefined): void }
  readonly events: {
    turnedAway(
      attempt: AttemptId,
      reason: string,
      issuer: IssuerName | undefined,
      detail: string,
    ): void
  }
}

export interface ProvingDeps extends TurningAwayDeps {
  readonly callers: CallerIdentifier
  readonly callerSlots: CallerSlots
}

/** Why nobody is let in. */
export type ProvingRefusal =
  | CallerRefusal
  /** The caller has as many requests of this kind under way as one may; `detail` is for the protected log. */
  | { readonly reason: 'too_many_requests'; readonly issuer: IssuerName; readonly detail: string }

export interface NotLetIn<Refusal> {
  readonly ok: false
  readonly refusal: Refusal
}

/**
 * Acts for whoever is proven, as one of its requests that are under way.
 *
 * @throws CallerError, and whatever `act` throws.
 */
export async function asProvenCaller<Done>(
  { attempt, proofs }: ProvingRequest,
  deps: ProvingDeps,
  act: (caller: Caller) => Promise<Done>,
): Promise<Done | NotLetIn<ProvingRefusal>> {
  const identified = await identify(proofs, deps)
  if (!identified.ok) {
    const { refusal } = identified
    const detail = 'detail' in refusal ? refusal.detail : ''
    const issuer = 'issuer' in refusal ? refusal.issuer : undefined
    return turnAway(attempt, refusal, { issuer, detail }, deps)
  }
  const { caller } = identified
  const slot = deps.callerSlots.enter(caller)
  if (slot === undefined) {
    const { issuer } = caller
    const { detail } = whoIs(caller)
    const refusal = { reason: 'too_many_requests', issuer, detail } as const
    return turnAway(attempt, refusal, { issuer, detail }, deps)
  }
  try {
    return await act(caller)
  } finally {
    deps.callerSlots.leave(slot)
  }
}

/** For the protected log. */
export const whoIs = ({ issuer, subject }: Pick<Caller, 'issuer' | 'subject'>) => ({
  issuer,
  detail: `subject ${subject}`,
})

export function turnAway<Refusal extends { readonly reason: string }>(
  attempt: AttemptId,
  refusal: Refusal,
  { issuer, detail }: { readonly issuer: IssuerName | undefined; readonly detail: string },
  { turnedAway, events }: TurningAwayDeps,
): NotLetIn<Refusal> {
  turnedAway.count(refusal.reason, issuer)
  events.turnedAway(attempt, refusal.reason, issuer, detail)
  return { ok: false, refusal }
}

async function identify(
  proofs: PresentedProofs,
  { callers, turnedAway }: Pick<ProvingDeps, 'callers' | 'turnedAway'>,
): Promise<Identification> {
  try {
    return await callers.identify(proofs)
  } catch (error) {
    if (error instanceof CallerError) turnedAway.count(error.code, error.issuer)
    throw error
  }
}
