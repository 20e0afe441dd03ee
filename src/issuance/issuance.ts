import { assertionLifetimeDefaultSeconds } from '../assertion/client-assertion.ts'
import { atLeastMsUntil, type Clock, type Instant } from '../base/clock.ts'
import type { ApplicationName, AttemptId } from '../base/ids.ts'
import type { Secret } from '../base/secret.ts'
import { sha256Base64url } from '../base/sha256.ts'
import type { TokenLife } from '../base/token-life.ts'
import {
  type Caller,
  CallerError,
  type Identification,
  type PresentedProofs,
} from '../caller/caller.ts'
import type {
  AssertionIssued,
  CallerOnRecord,
  DecisionOnRecord,
  RequestFailed,
  RequestRefused,
  TokenIssued,
} from '../ledger/entry.ts'
import { LedgerError } from '../ledger/ledger.ts'
import type { Ask, AssertionAsk, Decision, PolicyRefusal, TokenAsk } from '../policy/decision.ts'
import { isRevoked, type Revocations } from '../revocation/revocation.ts'
import { GovernorError } from '../signer/governor.ts'
import { SignerError } from '../signer/signer.ts'
import { TokenUsesError } from '../token-use/token-uses.ts'
import { type CachedToken, TokenCacheError, type TokenWish } from '../token-cache/token-cache.ts'
import type { TokenKey } from '../token-cache/token-key.ts'
import { TokenEndpointError } from '../token-endpoint/token-endpoint.ts'
import { attemptLastsMs } from './attempt-deadline.ts'
import { firstKeyId, withEitherCertificate } from './either-certificate.ts'
import { RememberedRefusal } from './entra-refusals.ts'
import type { SigningCredential } from './credentials.ts'
import type { AdmittedAttempt, Beginning, IssuanceDeps } from './issuance-deps.ts'
import { NothingProven } from './nothing-proven.ts'
import { obtainToken } from './obtain-token.ts'
import { recordFailure } from './record-failure.ts'
import { recordSuccess } from './record-success.ts'
import type { Refusal } from './refusal.ts'
import { signAssertion } from './sign-assertion.ts'
import { tokenUseFor, useRefusal } from './token-use.ts'
import { tokenKeyFor } from './token-key-for.ts'

// Whoever asks knows issuance, and not the policy.
export type { AssertionAsk, TokenAsk }

export interface IssuanceRequest<A extends Ask = Ask> {
  /** Made for this request, and told to the caller whatever comes of it. */
  readonly attempt: AttemptId
  /** What the request has of proofs; it may be none. */
  readonly proofs: PresentedProofs
  readonly ask: A
}

/** What a caller says about the token beside what it is for (continuous access evaluation). */
export interface TokenClaims {
  /** Whoever uses the token can handle being refused before its end, so it may live for a day. */
  readonly isCapable: boolean
  /** A resource took offence at older tokens; absent: it did not. */
  readonly obtainedAfterSeconds?: number
}

export interface TokenRequest extends IssuanceRequest<TokenAsk> {
  readonly claims: TokenClaims
  /** Of a signal that is aborted when nobody is there any more; asked only where others are waited for. */
  readonly gone: () => AbortSignal
}

export interface AssertionRequest extends IssuanceRequest<AssertionAsk> {
  /** Of a signal that is aborted when nobody is there any more, who would take the assertion. */
  readonly gone: () => AbortSignal
}

export interface Refused {
  readonly ok: false
  readonly refusal: Refusal
}

export type TokenOutcome =
  { readonly ok: true; readonly token: Secret<string>; readonly expiresInSeconds: number } | Refused

export type AssertionOutcome =
  | {
      readonly ok: true
      readonly assertion: Secret<string>
      readonly expiresInSeconds: number
      readonly clientId: string
      readonly tokenEndpoint: string
    }
  | Refused

/** Vault and token endpoint may take 10 s each, and a caller's patience ends near half a minute. */
const waitMs = 25_000

/**
 * An access token for one tenant and scope: from the cache, or obtained with a fresh signature that
 * all who wait for the same token share.
 *
 * When it resolves, what it says is durable in the ledger.
 *
 * @throws CallerError | GovernorError | LedgerError | NothingProven | RememberedRefusal | SignerError |
 *   TokenCacheError | TokenEndpointError | TokenUsesError
 */
export const issueToken = (request: TokenRequest, deps: IssuanceDeps): Promise<TokenOutcome> =>
  asCaller(request, deps, (caller) =>
    decidingAgain((beginning) => tokenFor(caller, request, beginning, deps)),
  )

async function tokenFor(
  caller: Caller,
  request: TokenRequest,
  beginning: Beginning,
  deps: IssuanceDeps,
): Promise<TokenOutcome> {
  const admission = await admit(caller, request, beginning, deps, () =>
    isThere(caller, request, deps),
  )
  if (!admission.ok) return admission
  const wish = wishFor(request, admission.decision, deps)
  const admitted = withLife(admission.admitted, wish.key.life)

  const cached = deps.cache.get(wish)
  deps.events.cacheAsked(cached === undefined ? 'miss' : 'hit')
  const token =
    cached ??
    (await recordingFailure(admitted, deps, () => obtain(wish, admitted, request.gone(), deps)))

  refuseOfRevokedKey(token, deps)
  const issued: TokenIssued = {
    kind: 'token.issued',
    atMs: deps.clock.nowMs(),
    ...admitted.onRecord,
    obtainedBy: token.obtainedBy,
    tokenSha256: token.sha256,
    expiresAtSeconds: token.expiresAtSeconds,
  }
  await deps.ledger.append([issued], admitted.decidedUnder)
  if (isStopped(caller, admitted, token.keyId, deps)) {
    return refuseRevoked(caller, request, { isWritten: true }, deps)
  }
  deps.events.tokenIssued(cached === undefined ? 'exchange' : 'cache')
  return { ok: true, token: token.value, expiresInSeconds: secondsLeft(token.expiry, deps.clock) }
}

/**
 * Whether what is written down as issued was stopped right behind that, as far as this process has heard:
 * then it is not given, and the ledger says more than happened.
 */
function isStopped(
  { issuer, subject }: Caller,
  { onRecord, tenant }: AdmittedAttempt,
  keyId: string,
  deps: IssuanceDeps,
): boolean {
  const { grant, application } = onRecord
  return isRevoked(deps.revocations.current(), {
    issuer,
    subject,
    grant,
    application,
    tenant,
    keyId,
  })
}

/** Each takes a revocation that is made or lifted meanwhile, anywhere; more than anybody ever makes. */
const decisionsMax = 10

/**
 * Decides and acts, and does so again when revocations have changed in between: what nobody has stopped
 * goes on, and what somebody has ends in a refusal. What the ledger knows of the attempt stays known.
 */
async function decidingAgain<Outcome>(
  act: (beginning: Beginning) => Promise<Outcome>,
): Promise<Outcome> {
  const beginning: Beginning = { isWritten: false, chargedGrant: undefined, isUseTaken: false }
  for (let left = decisionsMax; ; left -= 1) {
    try {
      return await act(beginning)
    } catch (error) {
      if (left === 1 || !isOvertaken(error)) throw error
    }
  }
}

const isOvertaken = (error: unknown) =>
  error instanceof LedgerError && error.code === 'LEDGER_OVERTAKEN'

/**
 * A token may have been obtained, here or by another replica, while its key version was revoked.
 *
 * @throws LedgerError Nobody gets it any more, so deciding again brings another one, or none.
 */
function refuseOfRevokedKey({ keyId }: CachedToken, deps: IssuanceDeps): void {
  if (!isRevoked(deps.revocations.current(), { keyId })) return
  deps.cache.drop((held) => held.keyId === keyId)
  throw new LedgerError('LEDGER_OVERTAKEN')
}

function wishFor(
  { ask, claims: { isCapable, ...after } }: TokenRequest,
  granted: GrantedDecision,
  deps: IssuanceDeps,
): TokenWish {
  const key = tokenKeyFor(deps.cloud, ask, granted, isCapable)
  return { key, grant: granted.grant, ...after }
}

type GrantedDecision = Extract<Decision, { ok: true }>

/**
 * Whether it can be served although nothing can be signed for it: this replica has the token, or takes
 * it from another one now. Also when the decision says no, which needs no token. Nothing is charged.
 */
async function isThere(
  caller: Caller,
  request: TokenRequest,
  deps: IssuanceDeps,
): Promise<boolean> {
  // What there is could not be given either.
  if (!deps.ledger.healthy()) return false
  const decision = deps.foresee(caller, request.ask)
  if (!decision.ok) return true
  const wish = wishFor(request, decision, deps)
  if (deps.cache.get(wish) !== undefined) return true
  const cannot = () => Promise.reject(new NothingProven())
  const patience = { timeoutMs: waitMs, gone: request.gone() }
  try {
    await deps.cache.obtain(wish, undefined, cannot, patience)
    return true
  } catch (error) {
    if (failureCode(error) === unexpected) throw error
    return false
  }
}

function obtain(
  wish: TokenWish,
  admitted: AdmittedAttempt,
  gone: AbortSignal,
  deps: IssuanceDeps,
): Promise<CachedToken> {
  const fetch = () => lead(admitted, wish.key, gone, deps)
  return deps.cache.obtain(wish, firstKeyId(admitted, deps), fetch, { timeoutMs: waitMs, gone })
}

/** Says how it failed when its own caller is not told any more: all who waited may have left. */
async function lead(
  admitted: AdmittedAttempt,
  key: TokenKey,
  gone: AbortSignal,
  deps: IssuanceDeps,
): Promise<CachedToken> {
  try {
    return await obtainToken(admitted, key, deps)
  } catch (error) {
    if (gone.aborted) deps.events.flightFailed(admitted.attempt, failureCode(error), error)
    throw error
  }
}

/** What a caller may count on. */
const secondsLeft = (expiry: Instant, clock: Clock) =>
  Math.max(0, Math.floor(atLeastMsUntil(expiry, clock) / 1000))

/** What cannot be recalled is said wherever the decision is. */
export const withLife = (admitted: AdmittedAttempt, life: TokenLife): AdmittedAttempt =>
  life === 'ordinary'
    ? admitted
    : { ...admitted, onRecord: { ...admitted.onRecord, longLived: true } }

/**
 * A fresh client assertion, never one that the service uses itself and never the same one twice.
 *
 * When it resolves, what it says is durable in the ledger.
 *
 * @throws CallerError | GovernorError | LedgerError | SignerError | TokenUsesError
 */
export const issueAssertion = (
  request: AssertionRequest,
  deps: IssuanceDeps,
): Promise<AssertionOutcome> =>
  asCaller(request, deps, (caller) =>
    decidingAgain((beginning) => assertionFor(caller, request, beginning, deps)),
  )

async function assertionFor(
  caller: Caller,
  request: AssertionRequest,
  beginning: Beginning,
  deps: IssuanceDeps,
): Promise<AssertionOutcome> {
  const admission = await admit(caller, request, beginning, deps, () => Promise.resolve(false))
  if (!admission.ok) return admission
  const { decision } = admission
  const admitted = { ...admission.admitted, gone: request.gone() }
  const lifetimeSeconds = decision.lifetimeSeconds ?? assertionLifetimeDefaultSeconds
  const signed = await recordingFailure(admitted, deps, () =>
    withEitherCertificate(admitted, deps, (one) =>
      signAssertion(
        admitted,
        one,
        { purpose: 'hand-out', lifetimeSeconds, probesEntra: false },
        deps,
      ),
    ),
  )
  const issued: AssertionIssued = {
    kind: 'assertion.issued',
    atMs: deps.clock.nowMs(),
    ...admitted.onRecord,
    signature: signed.signatureId,
    assertionSha256: sha256Base64url(signed.compact.reveal()),
    expiresAtSeconds: signed.expiresAtSeconds,
  }
  // Appended together, so in one commit; that it was signed is so whatever is revoked.
  await Promise.all([
    recordSuccess(signed.made, admitted.attempt, deps),
    deps.ledger.append([issued], admitted.decidedUnder),
  ])
  if (isStopped(caller, admitted, signed.keyId, deps)) {
    return refuseRevoked(caller, request, { isWritten: true }, deps)
  }
  deps.events.assertionIssued()
  return {
    ok: true,
    assertion: signed.compact,
    expiresInSeconds: secondsLeft(signed.expiry, deps.clock),
    clientId: admitted.application.clientId,
    tokenEndpoint: deps.tokenEndpoint.urlOf(admitted.tenant),
  }
}

type Admission =
  | {
      readonly ok: true
      readonly admitted: AdmittedAttempt
      readonly decision: GrantedDecision
    }
  | Refused

/** Proves the caller, and acts for it unless it has as many requests under way as one may. */
async function asCaller<Outcome>(
  { attempt, proofs }: IssuanceRequest,
  deps: IssuanceDeps,
  act: (caller: Caller) => Promise<Outcome>,
): Promise<Outcome | Refused> {
  const identified = await identify(proofs, deps)
  if (!identified.ok) return turnAway(identified.refusal, attempt, deps)

  const { caller } = identified
  const leave = deps.callerSlots.enter(caller)
  if (leave === undefined) {
    const { issuer, subject } = caller
    const detail = `subject ${subject}`
    return turnAway({ reason: 'too_many_requests', issuer, detail }, attempt, deps)
  }
  try {
    return await act(caller)
  } finally {
    leave()
  }
}

/**
 * Decides, and sees to it that a refusal is known to those who must know.
 *
 * @param isThere Whether the caller can be served without a signature; asked while nothing is proven.
 */
async function admit(
  caller: Caller,
  request: IssuanceRequest,
  beginning: Beginning,
  deps: IssuanceDeps,
  isThere: () => Promise<boolean>,
): Promise<Admission> {
  const { attempt, ask } = request
  const application = deps.applications.get(ask.application)
  // Before the decision: what cannot be done now must not cost the grant one of its uses. It may all the
  // same, where the first of several grants has none left and only its own token was there.
  const canSign = () => credentialsFor(ask.application, deps).length > 0
  // Looked at again afterwards: what was not proven then may be proven by now.
  const isServable = application === undefined || canSign() || (await isThere()) || canSign()
  if (!isServable && deps.credentials.current(ask.application).length === 0) {
    return turnAway({ reason: 'not_ready' }, attempt, deps)
  }
  const use = beginning.isUseTaken ? undefined : tokenUseFor(caller, ask, deps.onceIssuers)
  // Before the decision too: whoever sends what is spent must not use up what the grant has for others.
  const known = use && deps.tokenUses.knownDenial(use)
  if (known !== undefined)
    return turnAway(useRefusal(known, caller, deps.onceIssuers), attempt, deps)
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
  // Before anything is signed, and not given back: what fails afterwards cannot be asked for without end.
  const taken = use && (await deps.tokenUses.take(use))
  if (taken?.ok === false)
    return turnAway(useRefusal(taken, caller, deps.onceIssuers), attempt, deps)
  beginning.isUseTaken = true
  if (application === undefined) {
    throw new TypeError('a grant was compiled for an application that does not exist')
  }
  const onRecord = {
    ...decisionOnRecord(attempt, callerOnRecord(caller, deps), decision.grant, ask),
    ...dryRunOnRecord(decision),
  }
  return {
    ok: true,
    admitted: {
      attempt,
      issuer: caller.issuer,
      application,
      tenant: ask.tenant,
      decidedUnder: stands.epoch,
      credentials: credentialsFor(ask.application, deps),
      onRecord,
      beginning,
      priority: 'caller',
      deadlineMs: deps.clock.monotonicMs() + attemptLastsMs,
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
  const isStopped = isRevoked(stands, { issuer, subject, application, tenant })
  const decision = isStopped ? undefined : decide()
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
  return credentials
    .current(application)
    .filter(({ key }) => !isRevoked(stands, { keyId: key.keyId }))
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

const callerOnRecord = (caller: Caller, deps: IssuanceDeps): CallerOnRecord => ({
  issuer: caller.issuer,
  subject: caller.subject,
  ...(caller.tokenSha256 === undefined ? {} : { tokenSha256: caller.tokenSha256 }),
  ...(caller.certificateSha256 === undefined
    ? {}
    : { certificateSha256: caller.certificateSha256 }),
  ...(deps.sharedAudienceIssuers.has(caller.issuer) ? { sharedAudience: true } : {}),
})

export const decisionOnRecord = (
  attempt: AttemptId,
  caller: CallerOnRecord,
  grant: string,
  ask: Ask,
): DecisionOnRecord => ({
  attempt,
  caller,
  grant,
  application: ask.application,
  tenant: ask.tenant,
  ...(ask.want === 'token' ? { scope: ask.scope } : {}),
})

/** What would be otherwise if grants that are only tried were enforced. */
const dryRunOnRecord = ({ dryRun }: Decision) => (dryRun === undefined ? {} : { dryRun })

/** Counted and not written down, so that strangers cannot fill the ledger. */
function turnAway(
  refusal: Exclude<Refusal, PolicyRefusal>,
  attempt: AttemptId,
  deps: IssuanceDeps,
): Refused {
  const issuer = 'issuer' in refusal ? refusal.issuer : undefined
  const detail = 'detail' in refusal ? refusal.detail : ''
  deps.turnedAway.count(refusal.reason, issuer)
  deps.events.turnedAway(attempt, refusal.reason, issuer, detail)
  return { ok: false, refusal }
}

/**
 * A proven caller. What a grant names is written down; strangers, and whoever has used up a limit,
 * could ask for ever, so they are counted. An attempt that has begun ends in the ledger in any case.
 */
async function refuse(
  decision: Extract<Decision, { ok: false }>,
  caller: Caller,
  request: IssuanceRequest,
  { isWritten }: Beginning,
  deps: IssuanceDeps,
): Promise<Refused> {
  const { refusal } = decision
  const { attempt } = request
  const { reason } = refusal
  if (!isWritten && (reason === 'caller_not_named' || reason === 'limit_reached')) {
    deps.turnedAway.count(reason, caller.issuer)
    deps.events.turnedAway(attempt, reason, caller.issuer, `subject ${caller.subject}`)
    return { ok: false, refusal }
  }
  const entry = refusedEntry(reason, callerOnRecord(caller, deps), request, deps)
  await deps.ledger.append([{ ...entry, ...dryRunOnRecord(decision) }])
  deps.events.refused(attempt, reason)
  return { ok: false, refusal }
}

/**
 * Written down for the first ones of each minute, and then counted: whoever is stopped may ask as fast
 * as before. An attempt that has begun ends in the ledger in any case.
 */
async function refuseRevoked(
  caller: Caller,
  request: IssuanceRequest,
  { isWritten }: Pick<Beginning, 'isWritten'>,
  deps: IssuanceDeps,
): Promise<Refused> {
  const { attempt, ask } = request
  const reason = 'revoked'
  const onRecord = callerOnRecord(caller, deps)
  if (isWritten || deps.failureLines.mayWrite(onRecord, ask.application, reason)) {
    await deps.ledger.append([refusedEntry(reason, onRecord, request, deps)])
  } else {
    deps.turnedAway.count(reason, caller.issuer)
  }
  deps.events.refused(attempt, reason)
  return { ok: false, refusal: { reason } }
}

const refusedEntry = (
  reason: string,
  caller: CallerOnRecord,
  { attempt, ask }: IssuanceRequest,
  { clock }: Pick<IssuanceDeps, 'clock'>,
): RequestRefused => ({
  kind: 'request.refused',
  atMs: clock.nowMs(),
  attempt,
  caller,
  reason,
  application: ask.application,
  tenant: ask.tenant,
  ...(ask.want === 'token' ? { scope: ask.scope } : {}),
})

/** Every granted attempt ends in the ledger, those that got nothing too, or is counted in it. */
export async function recordingFailure<T>(
  admitted: AdmittedAttempt,
  deps: IssuanceDeps,
  act: () => Promise<T>,
): Promise<T> {
  try {
    return await act()
  } catch (error) {
    // When the ledger itself failed there is nowhere to write that it did.
    if (error instanceof LedgerError) throw error
    const code = failureCode(error)
    const { onRecord, issuer } = admitted
    const { caller, application } = onRecord
    if (costNothing(error) && !deps.failureLines.mayWrite(caller, application, code)) {
      deps.turnedAway.count(code, issuer)
      throw error
    }
    const remembered = costNothing(error) ? error.remembered : undefined
    const entry: RequestFailed = {
      kind: 'request.failed',
      atMs: deps.clock.nowMs(),
      ...onRecord,
      code,
      ...(remembered === undefined ? {} : { remembered }),
    }
    return recordFailure(error, entry, admitted.attempt, deps)
  }
}

/** Refused before anybody was asked. */
const costNothing = (error: unknown): error is GovernorError | RememberedRefusal =>
  error instanceof GovernorError || error instanceof RememberedRefusal

/** Whether it is about nobody but a caller that did not wait for its answer. */
export const isCallerGone = (error: unknown): boolean =>
  (error instanceof TokenCacheError && error.code === 'TOKEN_CALLER_GONE') ||
  (error instanceof GovernorError && error.code === 'GOVERNOR_ABANDONED')

/** The code of a failure at one of our boundaries; whatever else is thrown is a mistake of ours. */
export function failureCode(error: unknown): string {
  const known =
    error instanceof GovernorError ||
    error instanceof RememberedRefusal ||
    error instanceof NothingProven ||
    error instanceof SignerError ||
    error instanceof TokenEndpointError ||
    error instanceof CallerError ||
    error instanceof TokenCacheError ||
    error instanceof TokenUsesError ||
    error instanceof LedgerError
  return known ? error.code : unexpected
}

const unexpected = 'UNEXPECTED'
