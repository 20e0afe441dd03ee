import type { Clock } from '../base/clock.ts'
import { type AttemptId, type IssuerName, newRevocationId, type RevocationId } from '../base/ids.ts'
import {
  type Caller,
  CallerError,
  type CallerIdentifier,
  type Identification,
  type PresentedProofs,
} from '../caller/caller.ts'
import type {
  CallerOnRecord,
  RevocationLifted,
  RevocationMade,
  RevokedOnRecord,
} from '../ledger/entry.ts'
import { type Ledger, LedgerError } from '../ledger/ledger.ts'
import type { StandingRevocations } from '../ledger/standing-revocations.ts'
import { mayRevoke, type Policy, withoutGrants } from '../policy/policy.ts'
import { isRevoked, revocationsFrom, standingFor } from './revocation.ts'
import type { RevocationRefusal } from './revocation-refusal.ts'
import type { RevocationsInForce } from './revocations-in-force.ts'

export interface RevocationDeps {
  readonly clock: Clock
  readonly callers: CallerIdentifier
  /** What is in force, revoked grants too. */
  readonly policy: () => Policy
  readonly revocations: Pick<RevocationsInForce, 'current'>
  readonly ledger: Ledger
  /** Whoever may not is counted, and not written down: strangers could ask for ever. */
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

export interface RevocationRequest {
  /** Made for this request, and told to the caller whatever comes of it. */
  readonly attempt: AttemptId
  readonly proofs: PresentedProofs
}

export interface RevokeRequest extends RevocationRequest {
  readonly revoked: RevokedOnRecord
  /** For the ledger; absent: no word. */
  readonly reason?: string
  /** Whether it may leave the caller unable to lift it. */
  readonly lockout: 'refuse' | 'accept'
}

export interface LiftRequest extends RevocationRequest {
  readonly id: RevocationId
  readonly reason?: string
}

interface NotDone {
  readonly ok: false
  readonly refusal: RevocationRefusal
}

export type RevokeOutcome = { readonly ok: true; readonly made: RevocationMade } | NotDone
export type LiftOutcome = { readonly ok: true; readonly lifted: RevocationLifted } | NotDone
export type ListOutcome = { readonly ok: true; readonly standing: StandingRevocations } | NotDone

/** Each is looked up by whoever decides, and read by each replica that starts. */
const standingMax = 10_000

/**
 * Stops something. When it resolves, it is durable, nothing that was decided without it is appended to
 * the ledger any more by any replica, and this replica has dropped what it had. What is stopped already
 * stays stopped by the revocation that stands.
 *
 * @throws CallerError | LedgerError
 */
export async function revoke(request: RevokeRequest, deps: RevocationDeps): Promise<RevokeOutcome> {
  const { attempt, revoked, reason, lockout } = request
  return changing(request, deps, async (by, caller, standing) => {
    const stands = standingFor(standing, revoked)
    if (stands !== undefined) return { ok: true, made: stands }
    if (standing.made.length >= standingMax) return notDone('revocations_too_many')
    const made: RevocationMade = {
      kind: 'revocation.made',
      atMs: deps.clock.nowMs(),
      revocation: newRevocationId(),
      attempt,
      ...by,
      revoked,
      ...(reason === undefined ? {} : { reason }),
      epoch: standing.epoch + 1,
    }
    const after = { epoch: made.epoch, made: [...standing.made, made] }
    if (lockout === 'refuse' && !isAllowed(caller, after, deps).ok) {
      return notDone('revokes_its_maker')
    }
    await deps.ledger.append([made], { decidedUnder: standing.epoch })
    return { ok: true, made }
  })
}

/**
 * Lets something go on. When it resolves, it is durable, and this replica has heard of it.
 *
 * @throws CallerError | LedgerError
 */
export async function lift(request: LiftRequest, deps: RevocationDeps): Promise<LiftOutcome> {
  const { attempt, id, reason } = request
  return changing(request, deps, async (by, _caller, standing) => {
    if (!standing.made.some(({ revocation }) => revocation === id)) {
      return notDone('revocation_unknown')
    }
    const lifted: RevocationLifted = {
      kind: 'revocation.lifted',
      atMs: deps.clock.nowMs(),
      revocation: id,
      attempt,
      ...by,
      ...(reason === undefined ? {} : { reason }),
      epoch: standing.epoch + 1,
    }
    await deps.ledger.append([lifted], { decidedUnder: standing.epoch })
    return { ok: true, lifted }
  })
}

/**
 * What stands, everywhere, at this moment.
 *
 * @throws CallerError | LedgerError
 */
export async function listRevocations(
  request: RevocationRequest,
  deps: RevocationDeps,
): Promise<ListOutcome> {
  return changing(request, deps, (_by, _caller, standing) =>
    Promise.resolve({ ok: true, standing }),
  )
}

const notDone = (reason: Exclude<RevocationRefusal['reason'], WithFacts>): NotDone => ({
  ok: false,
  refusal: { reason },
})

/** Those whose refusal says more than the reason. */
type WithFacts = Exclude<
  RevocationRefusal['reason'],
  'revoked' | 'revokes_its_maker' | 'revocation_unknown' | 'revocations_too_many'
>

/** Who did it, and by which grant. */
interface By {
  readonly caller: CallerOnRecord
  readonly grant: string
}

/** Each takes a change that somebody else makes meanwhile. */
const triesMax = 10

/** Proves the caller, and acts on what stands now; again when somebody else has changed it meanwhile. */
async function changing<Done>(
  request: RevocationRequest,
  deps: RevocationDeps,
  act: (by: By, caller: Caller, standing: StandingRevocations) => Promise<Done | NotDone>,
): Promise<Done | NotDone> {
  const identified = await identify(request.proofs, deps)
  if (!identified.ok) {
    const { refusal } = identified
    const detail = 'detail' in refusal ? refusal.detail : ''
    return turnAway(
      request,
      refusal,
      'issuer' in refusal ? refusal.issuer : undefined,
      detail,
      deps,
    )
  }
  const { caller } = identified
  for (let left = triesMax; ; left -= 1) {
    // Of no entries: what others have changed until now is heard of.
    await deps.ledger.append([])
    const standing = deps.revocations.current()
    const allowed = isAllowed(caller, standing, deps)
    if (!allowed.ok) {
      return turnAway(request, allowed.refusal, caller.issuer, `subject ${caller.subject}`, deps)
    }
    try {
      return await act({ caller: onRecord(caller), grant: allowed.grant }, caller, standing)
    } catch (error) {
      const isOvertaken = error instanceof LedgerError && error.code === 'LEDGER_OVERTAKEN'
      if (left === 1 || !isOvertaken) throw error
    }
  }
}

async function identify(proofs: PresentedProofs, deps: RevocationDeps): Promise<Identification> {
  try {
    return await deps.callers.identify(proofs)
  } catch (error) {
    if (error instanceof CallerError) deps.turnedAway.count(error.code, error.issuer)
    throw error
  }
}

const onRecord = ({ issuer, subject, tokenSha256, certificateSha256 }: Caller): CallerOnRecord => ({
  issuer,
  subject,
  ...(tokenSha256 === undefined ? {} : { tokenSha256 }),
  ...(certificateSha256 === undefined ? {} : { certificateSha256 }),
})

type Allowed = ReturnType<typeof mayRevoke> | NotDone

/** Whoever is stopped may not stop others either, nor let itself go on. */
function isAllowed(
  caller: Caller,
  standing: StandingRevocations,
  { policy, clock }: Pick<RevocationDeps, 'policy' | 'clock'>,
): Allowed {
  const stands = revocationsFrom(standing)
  const whole = mayRevoke(policy(), caller, clock.nowSeconds())
  if (!whole.ok) return whole
  if (isRevoked(stands, { issuer: caller.issuer, subject: caller.subject })) {
    return notDone('revoked')
  }
  const left = withoutGrants(policy(), ({ name }) => isRevoked(stands, { grant: name }))
  const decision = mayRevoke(left, caller, clock.nowSeconds())
  return decision.ok ? decision : notDone('revoked')
}

function turnAway(
  { attempt }: RevocationRequest,
  refusal: RevocationRefusal,
  issuer: IssuerName | undefined,
  detail: string,
  { turnedAway, events }: RevocationDeps,
): NotDone {
  turnedAway.count(refusal.reason, issuer)
  events.turnedAway(attempt, refusal.reason, issuer, detail)
  return { ok: false, refusal }
}
