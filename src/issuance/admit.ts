import type { ApplicationName } from '../base/ids.ts'
import {
  type Caller,
  CallerError,
  type Identification,
  type PresentedProofs,
} from '../caller/caller.ts'
import type { Ask, Decision } from '../policy/decision.ts'
import { isRevoked, type Revocations } from '../revocation/revocation.ts'
import type { Application } from './application.ts'
import type { SigningCredential } from './credentials.ts'
import type { AdmittedAttempt, Beginning, IssuanceDeps } from './issuance-deps.ts'
import type { IssuanceRequest, Refused } from './issuance-request.ts'
import { callerOnRecord, decisionOnRecord, dryRunOnRecord } from './on-record.ts'
import { refuse, refuseRevoked, refuseUse, turnAway } from './refuse.ts'
import { tokenUseFor } from './token-use.ts'

export type GrantedDecision = Extract<Decision, { ok: true }>

export type Admission =
  | {
      readonly ok: true
      readonly admitted: AdmittedAttempt
      readonly decision: GrantedDecision
    }
  | Refused

export type Proof = { readonly ok: true; readonly caller: Caller } | Refused

/**
 * Proves the caller, once under each configuration, and lets it in unless it has as many requests under way
 * as one may.
 *
 * @throws CallerError | LedgerError
 */
export function prove(
  request: IssuanceRequest,
  beginning: Beginning,
  deps: IssuanceDeps,
): Proof | Promise<Proof> {
  const { proven } = beginning
  if (proven?.by === deps) return { ok: true, caller: proven.caller }
  const known = deps.callers.known(request.proofs)
  return known === undefined
    ? proveStranger(request, beginning, deps)
    : letIn(known, request, beginning, deps)
}

async function proveStranger(
  request: IssuanceRequest,
  beginning: Beginning,
  deps: IssuanceDeps,
): Promise<Proof> {
  const identified = await identify(request.proofs, deps)
  if (!identified.ok) return turnAway(identified.refusal, request, beginning, deps)
  return letIn(identified.caller, request, beginning, deps)
}

function letIn(
  caller: Caller,
  request: IssuanceRequest,
  beginning: Beginning,
  deps: IssuanceDeps,
): Proof | Promise<Proof> {
  beginning.slot ??= deps.callerSlots.enter(caller)
  if (beginning.slot === undefined) {
    const { issuer, subject } = caller
    const refusal = { reason: 'too_many_requests', issuer, detail: `subject ${subject}` } as const
    return turnAway(refusal, request, beginning, deps)
  }
  beginning.proven = { caller, by: deps }
  return { ok: true, caller }
}

/**
 * Decides, and sees to it that a refusal is known to those who must know.
 *
 * @param isThere Whether the caller can be served without a signature; asked while nothing is proven.
 */
export async function admit(
  caller: Caller,
  request: IssuanceRequest,
  beginning: Beginning,
  deps: IssuanceDeps,
  isThere: (application: Application) => Promise<boolean>,
): Promise<Admission> {
  const { attempt, ask } = request
  const application = deps.applications.get(ask.application)
  // Before the decision: what cannot be done now must not cost the grant one of its uses. It may all the
  // same, where the first of several grants has none left and only its own token was there.
  const canSign = () => credentialsFor(ask.application, deps).length > 0
  // Looked at again afterwards: what was not proven then may be proven by now.
  const isServable =
    application === undefined || canSign() || (await isThere(application)) || canSign()
  if (!isServable && deps.credentials.current(ask.application).length === 0) {
    return turnAway({ reason: 'not_ready' }, request, beginning, deps)
  }
  const tokenUse = tokenUseFor(caller, ask, deps.onceIssuers)
  // Before the decision too: whoever sends what is spent must not use up what the grant has for others.
  const denial =
    tokenUse === undefined || beginning.isUseTaken ? undefined : deps.knownUses.denialOf(tokenUse)
  if (denial !== undefined) return refuseUse(denial, caller, request, beginning, deps)
  // What is decided is decided under one epoch; what comes behind another one is decided again.
  const stands = deps.revocations.current()
  // What nothing can be signed for costs nothing: it is decided only to say why not.
  const decide = () =>
    isServable ? deps.decide(caller, ask, beginning.chargedGrant) : deps.foresee(caller, ask)
  const decision = decideUnder(stands, caller, ask, decide, deps)
  if (decision === 'revoked') return refuseRevoked(caller, request, beginning, deps)
  if (!decision.ok) return refuse(decision, caller, request, beginning, deps)
  if (!isServable) return refuseRevoked(caller, request, beginning, deps)
  beginning.chargedGrant = decision.grant
  if (application === undefined) {
    throw new TypeError('a grant was compiled for an application that does not exist')
  }
  const decided = decisionOnRecord(attempt, callerOnRecord(caller, deps), decision.grant, ask)
  const onRecord =
    decision.dryRun === undefined ? decided : { ...decided, ...dryRunOnRecord(decision) }
  return {
    ok: true,
    admitted: {
      attempt,
      issuer: caller.issuer,
      application,
      tenant: ask.tenant,
      decidedUnder: stands.epoch,
      tokenUse,
      credentials: credentialsFor(ask.application, deps),
      onRecord,
      beginning,
      priority: 'caller',
    },
    decision,
  }
}

/** A revocation is told only to whom it takes something: for everybody else it is as if there were none. */
function decideUnder(
  stands: Revocations,
  caller: Caller,
  ask: Ask,
  decide: () => Decision,
  deps: Pick<IssuanceDeps, 'foreseeUnrevoked'>,
): Decision | 'revoked' {
  const { issuer, subject } = caller
  const { application, tenant } = ask
  const isRevokedAlready = isRevoked(stands, { issuer, subject, application, tenant })
  const decision = isRevokedAlready ? undefined : decide()
  if (decision !== undefined && (stands.made.length === 0 || isOfPolicyAlone(decision))) {
    return decision
  }
  const unrevoked = deps.foreseeUnrevoked(caller, ask)
  return unrevoked.ok ? 'revoked' : (decision ?? unrevoked)
}

/** It is given, or will be to whoever waits: nothing that gives it is stopped. */
const isOfPolicyAlone = (decision: Decision) =>
  decision.ok || decision.refusal.reason === 'limit_reached'

/** What may sign for the application. */
export const credentialsFor = (
  application: ApplicationName,
  { credentials, revocations }: Pick<IssuanceDeps, 'credentials' | 'revocations'>,
): readonly SigningCredential[] => {
  const stands = revocations.current()
  const proven = credentials.current(application)
  if (stands.names.size === 0) return proven
  return proven.filter(({ key }) => !isRevoked(stands, { keyId: key.keyId }))
}

/** Whoever names an issuer that cannot be asked is a stranger until it can. */
async function identify(proofs: PresentedProofs, deps: IssuanceDeps): Promise<Identification> {
  try {
    return await deps.callers.identify(proofs)
  } catch (error) {
    if (error instanceof CallerError) deps.turnedAway.count(error.code, error.issuer)
    throw error
  }
}
