import type { Clock } from '../base/clock.ts'
import type { AttemptId } from '../base/ids.ts'
import type { Caller, PresentedProofs } from '../caller/caller.ts'
import { asProvenCaller, type ProvingDeps, turnAway, whoIs } from '../caller/proven-caller.ts'
import type { AuditRead, CallerOnRecord } from '../ledger/entry.ts'
import { LedgerError } from '../ledger/ledger.ts'
import { mayAudit, type Policy, type RightDecision } from '../policy/policy.ts'
import { isRevoked, type Revocations } from '../revocation/revocation.ts'
import type { RevocationsInForce } from '../revocation/revocations-in-force.ts'
import type { AuditReads } from './audit-reads.ts'
import type { AuditRefusal } from './audit-refusal.ts'

/**
 * Slots are for auditors' requests, and no others: what a caller asks for besides does not keep it from reading,
 * nor the other way round.
 */
export interface AuditDeps extends ProvingDeps {
  readonly clock: Clock
  /** Whether callers are still proven by what `callers` and `policy` were made by. */
  readonly isInForce: () => boolean
  /** What is in force, revoked grants too. */
  readonly policy: () => Policy
  /** Without them. */
  readonly unrevokedPolicy: () => Policy
  readonly revocations: Pick<RevocationsInForce, 'current'>
  readonly onRecord: (caller: Caller) => CallerOnRecord
  readonly reads: AuditReads
}

export interface AuditRequest {
  /** Made for this request, and told to whoever asks whatever comes of it. */
  readonly attempt: AttemptId
  readonly proofs: PresentedProofs
  readonly read: AuditRead['read']
}

interface NotTold {
  readonly ok: false
  readonly refusal: AuditRefusal
}

/**
 * Reads the ledger for somebody whom a grant lets, when that is accounted for: no entry, no reading.
 *
 * @throws CallerError | LedgerError, and whatever `look` throws.
 */
export function asAuditor<Told>(
  request: AuditRequest,
  deps: AuditDeps,
  look: () => Promise<Told>,
): Promise<Told | NotTold> {
  const { attempt, proofs, read } = request
  return asProvenCaller({ attempt, proofs }, deps, async (caller): Promise<Told | NotTold> => {
    const admission = await admitted(caller, { attempt, read }, deps)
    return admission.ok ? look() : turnAway(attempt, admission.refusal, whoIs(caller), deps)
  })
}

export type PersonOutcome<Told> =
  { readonly ok: true; readonly told: Told } | { readonly ok: false }

/**
 * The same for a person who has signed in. Not ok when they have as many requests under way as one may.
 *
 * @throws LedgerError, and whatever `look` throws.
 */
export async function asPerson<Told>(
  person: { readonly issuer: string; readonly subject: string },
  reading: Pick<AuditRequest, 'attempt' | 'read'>,
  { callerSlots, reads, revocations }: Pick<AuditDeps, 'callerSlots' | 'reads' | 'revocations'>,
  look: () => Promise<Told>,
): Promise<PersonOutcome<Told>> {
  const slot = callerSlots.enter(person)
  if (slot === undefined) return { ok: false }
  try {
    await untilNotOvertaken(() =>
      reads.note({ ...reading, caller: person }, revocations.current().epoch),
    )
    return { ok: true, told: await look() }
  } finally {
    callerSlots.leave(slot)
  }
}

/** Each takes a change that somebody else makes meanwhile. */
const triesMax = 10

type AuditDecision = RightDecision | NotTold

function admitted(
  caller: Caller,
  { attempt, read }: Pick<AuditRequest, 'attempt' | 'read'>,
  deps: AuditDeps,
): Promise<AuditDecision> {
  return untilNotOvertaken(async () => {
    // By the next configuration it may be somebody else, or nobody: whoever asks again is proven by that one.
    if (!deps.isInForce()) throw new LedgerError('LEDGER_OVERTAKEN')
    const stands = deps.revocations.current()
    const decision = decideUnder(stands, caller, deps)
    if (!decision.ok) return decision
    const reading = { attempt, caller: deps.onRecord(caller), grant: decision.grant, read }
    await deps.reads.note(reading, stands.epoch)
    return decision
  })
}

async function untilNotOvertaken<Outcome>(act: () => Promise<Outcome>): Promise<Outcome> {
  for (let left = triesMax; ; left -= 1) {
    try {
      return await act()
    } catch (error) {
      const isOvertaken = error instanceof LedgerError && error.code === 'LEDGER_OVERTAKEN'
      if (left === 1 || !isOvertaken) throw error
    }
  }
}

/** A revocation is told only to whom it takes something: for everybody else it is as if there were none. */
function decideUnder(stands: Revocations, caller: Caller, deps: AuditDeps): AuditDecision {
  const nowSeconds = deps.clock.nowSeconds()
  const unrevoked = mayAudit(deps.policy(), caller, nowSeconds)
  if (!unrevoked.ok) return unrevoked
  const { issuer, subject } = caller
  if (isRevoked(stands, { issuer, subject })) return revoked
  const left = mayAudit(deps.unrevokedPolicy(), caller, nowSeconds)
  return left.ok ? left : revoked
}

const revoked: NotTold = { ok: false, refusal: { reason: 'revoked' } }
