import type { Clock } from '../base/clock.ts'
import { type AttemptId, newRevocationId, type RevocationId } from '../base/ids.ts'
import type { Caller, PresentedProofs } from '../caller/caller.ts'
import { asProvenCaller, type ProvingDeps, turnAway, whoIs } from '../caller/proven-caller.ts'
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

/**
 * Slots are for requests about revocations, and no others: what a caller asks for besides does not keep it from
 * stopping something.
 */
export interface RevocationDeps extends ProvingDeps {
  readonly clock: Clock
  /** Whether callers are still proven by what `callers` and `policy` were made by. */
  readonly isInForce: () => boolean
  /** What is in force, revoked grants too. */
  readonly policy: () => Policy
  readonly revocations: Pick<RevocationsInForce, 'current'>
  readonly ledger: Ledger
}

/**
 * Who asks: by proofs, somebody whom a grant must let; or whoever may open the socket of the operator's
 * machine, which lets only those who could end the service too.
 */
export type RevocationAsker =
  { readonly by: 'proofs'; readonly proofs: PresentedProofs } | { readonly by: 'local-socket' }

export interface RevocationRequest {
  /** Made for this request, and told to whoever asks whatever comes of it. */
  readonly attempt: AttemptId
  readonly asker: RevocationAsker
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
  return changing(request, deps, async ({ by, mayStill }, standing) => {
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
    if (lockout === 'refuse' && !mayStill(after)) {
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
  return changing(request, deps, async ({ by }, standing) => {
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
  return changing(request, deps, (_actor, standing) => Promise.resolve({ ok: true, standing }))
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

/** Somebody who may change what stands now. */
interface Actor {
  /** Who does it, and by which grant, for the ledger. */
  readonly by: { readonly caller: CallerOnRecord; readonly grant?: string }
  /** Whether it may under what will stand, too. */
  readonly mayStill: (after: StandingRevocations) => boolean
}

type Act<Done> = (actor: Actor, standing: StandingRevocations) => Promise<Done | NotDone>

/** Of Unix sockets Node does not tell who is at the other end. */
const localOperator: Actor = {
  by: { caller: { issuer: 'countersign', subject: 'local-socket' } },
  mayStill: () => true,
}

/** Proves whoever asks, and acts on what stands now; again when somebody else has changed it meanwhile. */
function changing<Done>(
  request: RevocationRequest,
  deps: RevocationDeps,
  act: Act<Done>,
): Promise<Done | NotDone> {
  const { asker } = request
  return asker.by === 'local-socket'
    ? untilNotOvertaken(deps, (standing) => act(localOperator, standing))
    : asCaller(asker.proofs, request, deps, act)
}

async function asCaller<Done>(
  proofs: PresentedProofs,
  { attempt }: RevocationRequest,
  deps: RevocationDeps,
  act: Act<Done>,
): Promise<Done | NotDone> {
  return asProvenCaller({ attempt, proofs }, deps, async (caller) => {
    // Whoever may not anyway does not make the ledger look at what stands, for which it always has room.
    const known = deps.ledger.healthy() ? mayRevokeNow(caller, deps) : undefined
    if (known?.ok === false) return turnAway(attempt, known.refusal, whoIs(caller), deps)
    return untilNotOvertaken(deps, async (standing) => {
      // By the next configuration it may be somebody else, or nobody: whoever asks again is proven by that one.
      if (!deps.isInForce()) throw new LedgerError('LEDGER_OVERTAKEN')
      const allowed = isAllowed(caller, standing, deps)
      if (!allowed.ok) return turnAway(attempt, allowed.refusal, whoIs(caller), deps)
      const by = { caller: onRecord(caller), grant: allowed.grant }
      return act({ by, mayStill: (after) => isAllowed(caller, after, deps).ok }, standing)
    })
  })
}

/** Each takes a change that somebody else makes meanwhile. */
const triesMax = 10

async function untilNotOvertaken<Outcome>(
  { ledger, revocations }: Pick<RevocationDeps, 'ledger' | 'revocations'>,
  act: (standing: StandingRevocations) => Promise<Outcome>,
): Promise<Outcome> {
  for (let left = triesMax; ; left -= 1) {
    // Of no entries: what others have changed until now is heard of.
    await ledger.append([])
    try {
      return await act(revocations.current())
    } catch (error) {
      const isOvertaken = error instanceof LedgerError && error.code === 'LEDGER_OVERTAKEN'
      if (left === 1 || !isOvertaken) throw error
    }
  }
}

const onRecord = ({ issuer, subject, tokenSha256, certificateSha256 }: Caller): CallerOnRecord => ({
  issuer,
  subject,
  ...(tokenSha256 === undefined ? {} : { tokenSha256 }),
  ...(certificateSha256 === undefined ? {} : { certificateSha256 }),
})

type Allowed = ReturnType<typeof mayRevoke> | NotDone

const mayRevokeNow = (
  caller: Caller,
  { policy, clock }: Pick<RevocationDeps, 'policy' | 'clock'>,
) => mayRevoke(policy(), caller, clock.nowSeconds())

/** Whoever is stopped may not stop others either, nor let itself go on. */
function isAllowed(
  caller: Caller,
  standing: StandingRevocations,
  deps: Pick<RevocationDeps, 'policy' | 'clock'>,
): Allowed {
  const { policy, clock } = deps
  const stands = revocationsFrom(standing)
  const whole = mayRevokeNow(caller, deps)
  if (!whole.ok) return whole
  if (isRevoked(stands, { issuer: caller.issuer, subject: caller.subject })) {
    return notDone('revoked')
  }
  const left = withoutGrants(policy(), ({ name }) => isRevoked(stands, { grant: name }))
  const decision = mayRevoke(left, caller, clock.nowSeconds())
  return decision.ok ? decision : notDone('revoked')
}
