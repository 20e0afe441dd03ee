import { assertionLifetimeDefaultSeconds } from '../assertion/client-assertion.ts'
import { atLeastMsUntil, type Clock, type Instant } from '../base/clock.ts'
import type { AttemptId } from '../base/ids.ts'
import type { Secret } from '../base/secret.ts'
import { sha256Base64url } from '../base/sha256.ts'
import type { TokenLife } from '../base/token-life.ts'
import { type Caller, CallerError } from '../caller/caller.ts'
import type { AssertionIssued } from '../ledger/entry.ts'
import { LedgerError, TokenUseDenied } from '../ledger/ledger.ts'
import type { AssertionAsk, TokenAsk } from '../policy/decision.ts'
import { isRevoked } from '../revocation/revocation.ts'
import type { CachedToken, TokenWish } from '../token-cache/token-cache.ts'
import type { TokenKey } from '../token-cache/token-key.ts'
import { attemptLastsMs, timeLeftMs } from './attempt-deadline.ts'
import { admit, type GrantedDecision, prove } from './admit.ts'
import { type Application, hasKey } from './application.ts'
import { appendDecided, assertInForce, beginWithGrant, isOvertaken } from './append-decided.ts'
import { firstKeyId, withEitherCertificate } from './either-certificate.ts'
import { failureCode, unexpected } from './failure-code.ts'
import {
  type AdmittedAttempt,
  type Beginning,
  type IssuanceDeps,
  notBegun,
} from './issuance-deps.ts'
import type { IssuanceRequest, Refused } from './issuance-request.ts'
import { NothingProven } from './nothing-proven.ts'
import { obtainToken } from './obtain-token.ts'
import { failedEntry, tokenIssued } from './on-record.ts'
import { recordFailure } from './record-failure.ts'
import { recordSuccess } from './record-success.ts'
import { recordingFailure } from './recording-failure.ts'
import { refuseRevoked, refuseUse } from './refuse.ts'
import { signAssertion } from './sign-assertion.ts'
import { tokenKeyFor } from './token-key-for.ts'

// Whoever asks knows issuance, and not the policy.
export type { AssertionAsk, TokenAsk }

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

/** Behind the deadline: whoever leads ends by then, and says to all how. */
const saysHowMs = 2000

/**
 * An access token for one tenant and scope: from the cache, or obtained with a fresh signature that
 * all who wait for the same token share.
 *
 * When it resolves, what it says is durable in the ledger.
 *
 * @throws CallerError | GovernorError | LedgerError | NothingProven | RememberedRefusal | SignerError |
 *   TokenCacheError | TokenEndpointError
 */
export const issueToken = (
  request: TokenRequest,
  inForce: () => IssuanceDeps,
): Promise<TokenOutcome> =>
  decidingAgain(request, inForce, (caller, beginning, deps) =>
    tokenFor(caller, request, beginning, deps),
  )

async function tokenFor(
  caller: Caller,
  request: TokenRequest,
  beginning: Beginning,
  deps: IssuanceDeps,
): Promise<TokenOutcome> {
  const admission = await admit(caller, request, beginning, deps, (application) =>
    isThere(caller, request, application, beginning, deps),
  )
  if (!admission.ok) return admission
  const { application } = admission.admitted
  const wish = wishFor(request, application, admission.decision, deps)
  const admitted = withLife(admission.admitted, wish.key.life)
  beginning.decided = admitted.onRecord

  const cached = deps.cache.get(wish)
  deps.events.cacheAsked(cached === undefined ? 'miss' : 'hit')
  const token =
    cached ??
    (await recordingFailure(admitted, deps, async () => {
      // Whoever leads does so for others too, and must not be found to have used up its own token by then.
      if (admitted.tokenUse !== undefined) await beginWithGrant(admitted, deps)
      return obtain(wish, admitted, request.gone(), deps)
    }))

  refuseOfEndedKey(token, application, deps)
  const issued = tokenIssued(admitted.onRecord, token, deps.clock.nowMs())
  await appendDecided([issued], admitted, deps)
  // Written down as issued, and given to nobody: then the ledger says more than happened.
  assertInForce(deps)
  if (isStopped(caller, admitted, token.keyId, deps)) {
    return refuseRevoked(caller, request, beginning, deps)
  }
  const expiresInSeconds = secondsLeft(token.expiry, deps.clock)
  // It was there when it was looked for, and the commit may have taken long: the cache has it no more. One that
  // replicas share may have less by the time of that commit: it cannot be told from one that never lasted longer.
  if (cached !== undefined && expiresInSeconds < deps.cache.minRemainingSeconds) {
    throw new LedgerError('LEDGER_OVERTAKEN')
  }
  deps.events.tokenIssued(cached === undefined ? 'exchange' : 'cache')
  return { ok: true, token: token.value, expiresInSeconds }
}

/**
 * Whether what is written down as issued was stopped right behind that, as far as this process has heard:
 * then it is not given, and the ledger says more than happened. With its own commit it has heard of all that
 * stood before, and what stood otherwise than it was decided was not written down at all. So what is left is
 * a revocation of another replica that came behind that commit and is not heard of yet: the answer may
 * arrive behind it, and whoever revoked was told of it, because its entry stood there to be read.
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

/** Each takes a change that is made meanwhile, anywhere; more than anybody ever makes. */
const decisionsMax = 10

/**
 * Proves the caller, decides and acts. Does so again when what was decided by has changed in between: what
 * nobody has stopped goes on, and what somebody has ends in a refusal, as what the caller's token is not
 * good for any more. What the ledger knows of the attempt stays known. Under another configuration the
 * caller is proven anew.
 */
async function decidingAgain<Outcome>(
  request: IssuanceRequest,
  inForce: () => IssuanceDeps,
  act: Act<Outcome>,
): Promise<Outcome | Refused> {
  const { callerSlots, clock } = inForce()
  const beginning = notBegun(clock)
  try {
    return await untilItStands(request, beginning, inForce, act)
  } finally {
    if (beginning.slot !== undefined) callerSlots.leave(beginning.slot)
  }
}

type Act<Outcome> = (
  caller: Caller,
  beginning: Beginning,
  deps: IssuanceDeps,
) => Promise<Outcome | Refused>

async function untilItStands<Outcome>(
  request: IssuanceRequest,
  beginning: Beginning,
  inForce: () => IssuanceDeps,
  act: Act<Outcome>,
): Promise<Outcome | Refused> {
  for (let decisionsLeft = decisionsMax; ; decisionsLeft -= 1) {
    const deps = inForce()
    try {
      const proof = await prove(request, beginning, deps)
      return proof.ok ? await act(proof.caller, beginning, deps) : proof
    } catch (error) {
      const { proven } = beginning
      if (error instanceof TokenUseDenied && proven !== undefined) {
        return refuseUse(error.denial, proven.caller, request, beginning, deps)
      }
      if (!isOvertaken(error) || decisionsLeft === 1) {
        return failing(error, request.attempt, beginning, deps)
      }
    }
  }
}

/**
 * Writes that the attempt ends without having been decided to its end: by changes again and again, or because
 * nobody could tell any more who its caller is. How everything else has failed is written where it did.
 *
 * @throws `error`, or the LedgerError that keeps it from being written down.
 */
async function failing(
  error: unknown,
  attempt: AttemptId,
  { isOnRecord, decided }: Beginning,
  deps: IssuanceDeps,
): Promise<never> {
  const isUnwritten = isOvertaken(error) || (isOnRecord && error instanceof CallerError)
  if (!isUnwritten || decided === undefined) throw error
  const entry = failedEntry(decided, error.code, deps.clock.nowMs())
  return recordFailure(error, entry, attempt, deps)
}

/**
 * A token may have been obtained, here or by another replica, while its key version was revoked, or taken
 * from the application: the certificate that signs in the end need not be the one that it set out with.
 *
 * @throws LedgerError Nobody gets it any more, so deciding again brings another one, or none.
 */
function refuseOfEndedKey(
  { keyId }: CachedToken,
  application: Application,
  deps: IssuanceDeps,
): void {
  if (isRevoked(deps.revocations.current(), { keyId })) {
    deps.cache.drop((held) => held.keyId === keyId)
  } else if (!hasKey(application, keyId)) {
    // By the next configuration it may have the key.
    assertInForce(deps)
    deps.cache.dropHere((held) => held.keyId === keyId && held.key.application === application.name)
  } else return
  throw new LedgerError('LEDGER_OVERTAKEN')
}

function wishFor(
  { ask, claims: { isCapable, obtainedAfterSeconds } }: TokenRequest,
  application: Application,
  granted: GrantedDecision,
  deps: IssuanceDeps,
): TokenWish {
  const key = tokenKeyFor(deps.cloud, application, ask, granted, isCapable)
  const { grant } = granted
  return obtainedAfterSeconds === undefined ? { key, grant } : { key, grant, obtainedAfterSeconds }
}

/**
 * Whether it can be served although nothing can be signed for it: this replica has the token, or takes
 * it from another one now. Also when the decision says no, which needs no token. Nothing is charged.
 */
async function isThere(
  caller: Caller,
  request: TokenRequest,
  application: Application,
  beginning: Beginning,
  deps: IssuanceDeps,
): Promise<boolean> {
  // What there is could not be given either.
  if (!deps.ledger.healthy() || deps.ledger.isFull()) return false
  const decision = deps.foresee(caller, request.ask)
  if (!decision.ok) return true
  const wish = wishFor(request, application, decision, deps)
  if (deps.cache.get(wish) !== undefined) return true
  const cannot = () => Promise.reject(new NothingProven())
  const timeoutMs = timeLeftMs({ beginning }, attemptLastsMs, deps.clock) + saysHowMs
  const patience = { timeoutMs, gone: request.gone() }
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
  const timeoutMs = timeLeftMs(admitted, attemptLastsMs, deps.clock) + saysHowMs
  return deps.cache.obtain(wish, firstKeyId(admitted, deps), fetch, { timeoutMs, gone })
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
 * @throws CallerError | GovernorError | LedgerError | SignerError
 */
export const issueAssertion = (
  request: AssertionRequest,
  inForce: () => IssuanceDeps,
): Promise<AssertionOutcome> =>
  decidingAgain(request, inForce, (caller, beginning, deps) =>
    assertionFor(caller, request, beginning, deps),
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
  beginning.decided = admitted.onRecord
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
    appendDecided([issued], admitted, deps),
  ])
  assertInForce(deps)
  if (isStopped(caller, admitted, signed.keyId, deps)) {
    return refuseRevoked(caller, request, beginning, deps)
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
