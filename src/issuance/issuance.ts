import { assertionLifetimeDefaultSeconds } from '../assertion/client-assertion.ts'
import { atLeastMsUntil, type Clock, type Instant } from '../base/clock.ts'
import type { AttemptId } from '../base/ids.ts'
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
} from '../ledger/entry.ts'
import { LedgerError } from '../ledger/ledger.ts'
import type { Ask, AssertionAsk, Decision, PolicyRefusal, TokenAsk } from '../policy/decision.ts'
import { GovernorError } from '../signer/governor.ts'
import { SignerError } from '../signer/signer.ts'
import { TokenUsesError } from '../token-use/token-uses.ts'
import { type CachedToken, TokenCacheError, type TokenWish } from '../token-cache/token-cache.ts'
import type { TokenKey } from '../token-cache/token-key.ts'
import { TokenEndpointError } from '../token-endpoint/token-endpoint.ts'
import { attemptLastsMs } from './attempt-deadline.ts'
import { firstKeyId, withEitherCertificate } from './either-certificate.ts'
import { RememberedRefusal } from './entra-refusals.ts'
import type { AdmittedAttempt, IssuanceDeps } from './issuance-deps.ts'
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
  asCaller(request, deps, (caller) => tokenFor(caller, request, deps))

async function tokenFor(
  caller: Caller,
  request: TokenRequest,
  deps: IssuanceDeps,
): Promise<TokenOutcome> {
  const admission = await admit(caller, request, deps, () => isThere(caller, request, deps))
  if (!admission.ok) return admission
  const wish = wishFor(request, admission.decision, deps)
  const admitted = withLife(admission.admitted, wish.key.life)

  const cached = deps.cache.get(wish)
  deps.events.cacheAsked(cached === undefined ? 'miss' : 'hit')
  const token =
    cached ??
    (await recordingFailure(admitted, deps, () => obtain(wish, admitted, request.gone(), deps)))

  await deps.ledger.append([
    {
      kind: 'token.issued',
      atMs: deps.clock.nowMs(),
      ...admitted.onRecord,
      obtainedBy: token.obtainedBy,
      tokenSha256: token.sha256,
      expiresAtSeconds: token.expiresAtSeconds,
    },
  ])
  deps.events.tokenIssued(cached === undefined ? 'exchange' : 'cache')
  return { ok: true, token: token.value, expiresInSeconds: secondsLeft(token.expiry, deps.clock) }
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
  asCaller(request, deps, (caller) => assertionFor(caller, request, deps))

async function assertionFor(
  caller: Caller,
  request: AssertionRequest,
  deps: IssuanceDeps,
): Promise<AssertionOutcome> {
  const admission = await admit(caller, request, deps, () => Promise.resolve(false))
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
  await recordSuccess(signed.made, [issued], admitted.attempt, deps)
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
  deps: IssuanceDeps,
  isThere: () => Promise<boolean>,
): Promise<Admission> {
  const { attempt, ask } = request
  const application = deps.applications.get(ask.application)
  const credentials = deps.credentials.current(ask.application)
  // Before the decision: what cannot be done now must not cost the grant one of its uses. It may all the
  // same, where the first of several grants has none left and only its own token was there.
  if (application !== undefined && credentials.length === 0 && !(await isThere())) {
    return turnAway({ reason: 'not_ready' }, attempt, deps)
  }
  const use = tokenUseFor(caller, ask, deps.onceIssuers)
  // Before the decision too: whoever sends what is spent must not use up what the grant has for others.
  const known = use && deps.tokenUses.knownDenial(use)
  if (known !== undefined)
    return turnAway(useRefusal(known, caller, deps.onceIssuers), attempt, deps)
  const decision = deps.decide(caller, ask)
  if (!decision.ok) return refuse(decision, caller, request, deps)
  // Before anything is signed, and not given back: what fails afterwards cannot be asked for without end.
  const taken = use && (await deps.tokenUses.take(use))
  if (taken?.ok === false)
    return turnAway(useRefusal(taken, caller, deps.onceIssuers), attempt, deps)
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
      credentials,
      onRecord,
      beginning: { isWritten: false },
      priority: 'caller',
      deadlineMs: deps.clock.monotonicMs() + attemptLastsMs,
    },
    decision,
  }
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
 * could ask for ever, so they are counted.
 */
async function refuse(
  decision: Extract<Decision, { ok: false }>,
  caller: Caller,
  request: IssuanceRequest,
  deps: IssuanceDeps,
): Promise<Refused> {
  const { refusal } = decision
  const { attempt, ask } = request
  const { reason } = refusal
  if (reason === 'caller_not_named' || reason === 'limit_reached') {
    deps.turnedAway.count(reason, caller.issuer)
    deps.events.turnedAway(attempt, reason, caller.issuer, `subject ${caller.subject}`)
    return { ok: false, refusal }
  }
  await deps.ledger.append([
    {
      kind: 'request.refused',
      atMs: deps.clock.nowMs(),
      attempt,
      caller: callerOnRecord(caller, deps),
      reason,
      application: ask.application,
      tenant: ask.tenant,
      ...(ask.want === 'token' ? { scope: ask.scope } : {}),
      ...dryRunOnRecord(decision),
    },
  ])
  deps.events.refused(attempt, reason)
  return { ok: false, refusal }
}

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
