import { AuditError, type AuditErrorCode } from '../audit/audit-error.ts'
import type { AuditRefusal } from '../audit/audit-refusal.ts'
import { callerAlgorithms } from '../base/caller-algorithms.ts'
import { CallerError } from '../caller/caller.ts'
import { RememberedRefusal } from '../issuance/entra-refusals.ts'
import { NothingProven } from '../issuance/nothing-proven.ts'
import type { Refusal } from '../issuance/refusal.ts'
import { LedgerError } from '../ledger/ledger.ts'
import type { RevocationRefusal } from '../revocation/revocation-refusal.ts'
import { GovernorError, type GovernorErrorCode } from '../signer/governor.ts'
import { SignerError, type SignerErrorCode } from '../signer/signer.ts'
import { TokenCacheError } from '../token-cache/token-cache.ts'
import { TokenEndpointError, tokenEndpointErrorMeanings } from '../token-endpoint/token-endpoint.ts'
import { type Answer, jsonAnswer } from './answer.ts'
import { RequestProblem, type RequestProblemCode } from './request-problem.ts'

/**
 * The one map from our reasons and codes to the words on the wire (RFC 9457). Many reasons share one
 * dull sentence on purpose: what would help a caller who is in the right helps everybody else too.
 * The attempt id is what the operator finds the true reason by.
 */
export type ProblemCode =
  | RequestProblemCode
  | 'caller_not_proven'
  | 'caller_token_spent'
  | 'not_granted'
  | 'revoked'
  | 'lifetime_too_long'
  | 'revokes_its_maker'
  | 'revocation_unknown'
  | 'revocations_too_many'
  | 'entries_missing'
  | 'attempt_unknown'
  | 'limit_reached'
  | 'not_ready'
  | 'issuer_unavailable'
  | 'ledger_unavailable'
  | 'ledger_unreadable'
  | 'audit_busy'
  | 'too_many_tokens'
  | 'too_many_waiting'
  | 'too_many_requests'
  | 'too_many_connections'
  | 'signing_busy'
  | 'signing_paused'
  | 'signing_throttled'
  | 'signing_unavailable'
  | 'signing_broken'
  | 'token_unavailable'
  | 'entra_refused'
  | 'entra_paused'
  | 'entra_unavailable'
  | 'internal'

export interface Problem {
  readonly code: ProblemCode
  readonly status: number
  readonly title: string
  readonly detail: string
  readonly retryAfterSeconds?: number
  /** What Entra said, in numbers that its documentation explains. */
  readonly entra?: {
    readonly errorCodes: readonly number[]
    readonly traceId?: string
    readonly whoMustAct: string
  }
  readonly headers?: Readonly<Record<string, string>>
}

/** What was refused before it was asked who is there. */
export function problemFromRequest(error: RequestProblem): Problem {
  const headers = error.allow === undefined ? {} : { headers: { allow: error.allow } }
  return { code: error.code, ...requestWords[error.code], detail: error.detail, ...headers }
}

const requestWords: Record<RequestProblemCode, { status: number; title: string }> = {
  request_invalid: { status: 400, title: 'The request is not valid' },
  body_too_large: { status: 413, title: 'The body is too large' },
  media_type_unsupported: { status: 415, title: 'The media type is not supported' },
  not_found: { status: 404, title: 'There is nothing here' },
  method_not_allowed: { status: 405, title: 'The method is not allowed' },
  cross_site: { status: 403, title: 'A page of another site asks' },
}

export function problemFromRefusal(refusal: Refusal | RevocationRefusal | AuditRefusal): Problem {
  switch (refusal.reason) {
    case 'caller_token_missing':
      return {
        ...callerNotProven,
        detail: 'Send the caller token as "Authorization: Bearer".',
        headers: { 'www-authenticate': 'Bearer' },
      }
    case 'caller_token_malformed':
    case 'caller_issuer_unknown':
    case 'caller_algorithm_refused':
    case 'caller_key_unknown':
    case 'caller_signature_wrong':
    case 'caller_audience_wrong':
    case 'caller_token_expired':
    case 'caller_token_not_yet_valid':
    case 'caller_token_too_long_lived':
    case 'caller_claim_missing':
    case 'caller_claim_refused':
    case 'caller_tenant_refused':
    case 'caller_not_an_application':
    case 'caller_is_ourselves':
    case 'caller_binding_unknown':
    case 'caller_two_proofs':
      return callerNotProven
    case 'caller_token_unbound':
    case 'caller_binding_unproven':
      return refusal.mustCome === undefined ? callerNotProven : challengedToDpop('invalid_token')
    case 'caller_dpop_refused':
      return challengedToDpop('invalid_dpop_proof')
    case 'caller_certificate_unknown':
    case 'caller_certificate_ambiguous':
    case 'caller_certificate_refused':
      return { ...callerNotProven, ...certificateNotProven }
    case 'caller_not_named':
    case 'grant_missing':
      return notGranted
    case 'lifetime_too_long':
      return {
        code: 'lifetime_too_long',
        status: 403,
        title: 'The lifetime is too long',
        detail: `Ask for lifetimeSeconds of at most ${refusal.maxSeconds}.`,
      }
    case 'limit_reached':
      return {
        code: 'limit_reached',
        status: 429,
        title: 'The limit of the grant is reached',
        detail: 'Wait, and keep what you were given for as long as it lives.',
        retryAfterSeconds: refusal.retryAfterSeconds,
      }
    case 'too_many_requests':
      return {
        code: 'too_many_requests',
        status: 429,
        title: 'Too many of your requests are under way',
        detail: 'Ask for less at once, and keep what you are given for as long as it lives.',
        retryAfterSeconds: 1,
      }
    case 'caller_token_replayed':
    case 'assertions_spent':
    case 'assertions_elsewhere':
      return callerTokenSpent
    case 'token_uses_full':
      return {
        code: 'too_many_tokens',
        status: 503,
        title: 'Too many caller tokens are remembered',
        detail:
          'What a token is used for has to be remembered, and there is no room. Try again later.',
        retryAfterSeconds: refusal.retryAfterSeconds,
      }
    case 'not_ready':
      return notReady
    case 'revoked':
      return revoked
    case 'revokes_its_maker':
      return revokesItsMaker
    case 'revocation_unknown':
      return revocationUnknown
    case 'revocations_too_many':
      return revocationsTooMany
    case 'entries_missing':
      return entriesMissing
    case 'attempt_unknown':
      return attemptUnknown
  }
}

/** To whoever has more connections than an address may have: nothing that is asked there is looked at. */
export const tooManyConnections: Problem = {
  code: 'too_many_connections',
  status: 429,
  title: 'Too many connections from your address',
  detail: 'Use connections again that you have, and close what you do not need.',
  retryAfterSeconds: 5,
}

const revoked: Problem = {
  code: 'revoked',
  status: 403,
  title: 'Stopped',
  detail: 'This was stopped for now. The operator finds out what by the attempt id.',
}

const revokesItsMaker: Problem = {
  code: 'revokes_its_maker',
  status: 409,
  title: 'You could not lift it yourself',
  detail:
    'It would stop you too, and only somebody else could lift it. Say "lockout": "accept" if that ' +
    'is meant.',
}

const revocationUnknown: Problem = {
  code: 'revocation_unknown',
  status: 404,
  title: 'No such revocation',
  detail: 'No revocation of this id stands: it may have been lifted.',
}

const revocationsTooMany: Problem = {
  code: 'revocations_too_many',
  status: 409,
  title: 'Too many revocations stand',
  detail: 'Revoke the issuer, the grant or the application instead, or lift what is over.',
}

const entriesMissing: Problem = {
  code: 'entries_missing',
  status: 409,
  title: 'The ledger ends before that entry',
  detail: 'It is another ledger than the one that had this entry, or an earlier state of it.',
}

const attemptUnknown: Problem = {
  code: 'attempt_unknown',
  status: 404,
  title: 'No such attempt',
  detail:
    'The ledger has nothing of it about the time at which its id was made. What a stranger asks for is counted, ' +
    'and only in the protected log.',
}

const notReady: Problem = {
  code: 'not_ready',
  status: 503,
  title: 'The service is not ready',
  detail: 'It has not proven its key yet. Try again later.',
  retryAfterSeconds: 5,
}

const callerNotProven: Problem = {
  code: 'caller_not_proven',
  status: 401,
  title: 'The caller is not proven',
  detail:
    'The caller token was not accepted. It must be unexpired, from an issuer that this service trusts, ' +
    'and meant for this service. The operator finds the reason by the attempt id.',
  headers: { 'www-authenticate': 'Bearer error="invalid_token"' },
}

/** In the same dull words: which algorithms a proof may have is in every challenge (RFC 9449 §7.1). */
const challengedToDpop = (error: 'invalid_token' | 'invalid_dpop_proof'): Problem => ({
  ...callerNotProven,
  headers: { 'www-authenticate': `DPoP error="${error}", algs="${callerAlgorithms.join(' ')}"` },
})

const callerTokenSpent: Problem = {
  code: 'caller_token_spent',
  status: 401,
  title: 'The caller token is used up',
  detail:
    'It was used for all that it is good for. Ask its issuer for a new one, for each application and tenant ' +
    'of assertions one of its own.',
  headers: { 'www-authenticate': 'Bearer error="invalid_token"' },
}

const certificateNotProven: Pick<Problem, 'detail' | 'headers'> = {
  detail:
    'The client certificate was not accepted. It must be in date, for clients, and from a CA that this ' +
    'service trusts for callers. The operator finds the reason by the attempt id.',
  headers: { 'www-authenticate': 'Bearer' },
}

const notGranted: Problem = {
  code: 'not_granted',
  status: 403,
  title: 'Not granted',
  detail:
    'No grant allows this caller what it asks for. Check application, tenant and scope; the operator ' +
    'finds the reason by the attempt id.',
}

/** What the world did. Whatever is not one of our errors is a mistake of ours, and says nothing. */
export function problemFromFailure(error: unknown): Problem {
  if (error instanceof RequestProblem) return problemFromRequest(error)
  if (error instanceof CallerError) return issuerUnavailable(error)
  // To the caller it is the same: what has to be written down cannot be.
  if (error instanceof LedgerError) return ledgerUnavailable
  if (error instanceof AuditError) return auditProblems[error.code]
  if (error instanceof NothingProven) return notReady
  if (error instanceof GovernorError) return governorProblem(error)
  if (error instanceof SignerError) return signerProblems[error.code]
  if (error instanceof TokenCacheError) return tokenUnavailable
  if (error instanceof RememberedRefusal) return rememberedProblem(error)
  if (error instanceof TokenEndpointError) return tokenEndpointProblem(error)
  return {
    code: 'internal',
    status: 500,
    title: 'The service made a mistake',
    detail: 'Nothing was issued. The operator finds the reason by the attempt id.',
  }
}

const issuerUnavailable = ({ retryAfterSeconds = 5 }: CallerError): Problem => ({
  code: 'issuer_unavailable',
  status: 503,
  title: 'The caller cannot be proven now',
  detail: "The keys of the caller token's issuer cannot be had at the moment. Try again later.",
  retryAfterSeconds,
})

const ledgerUnavailable: Problem = {
  code: 'ledger_unavailable',
  status: 503,
  title: 'Nothing can be recorded',
  detail: 'Nothing is issued that cannot be recorded first. Try again later.',
  retryAfterSeconds: 5,
}

const auditProblems: Record<AuditErrorCode, Problem> = {
  LEDGER_UNREADABLE: {
    code: 'ledger_unreadable',
    status: 503,
    title: 'The ledger cannot be read',
    detail: 'It does not answer at the moment. Try again later.',
    retryAfterSeconds: 5,
  },
  AUDIT_BUSY: {
    code: 'audit_busy',
    status: 503,
    title: 'Too many wait to read the ledger',
    detail: 'Others are reading it. Try again later.',
    retryAfterSeconds: 1,
  },
}

const signingBusy: Problem = {
  code: 'signing_busy',
  status: 503,
  title: 'Too much waits to be signed',
  detail: 'The key would not be free in time. Try again later.',
}

const tooManyWaiting: Problem = {
  code: 'too_many_waiting',
  status: 429,
  title: 'Too many of your requests wait',
  detail: 'Ask for less at once, and keep what you are given for as long as it lives.',
}

const signingPaused: Problem = {
  code: 'signing_paused',
  status: 503,
  title: 'The key is not asked again yet',
  detail: 'It failed a moment ago. Try again later.',
}

const governorProblems: Record<GovernorErrorCode, Problem> = {
  GOVERNOR_BUDGET_SPENT: signingBusy,
  GOVERNOR_BUDGET_AWAY: signingBusy,
  GOVERNOR_QUEUE_FULL: signingBusy,
  GOVERNOR_CALLER_QUEUE_FULL: tooManyWaiting,
  GOVERNOR_VAULT_PAUSED: signingPaused,
  GOVERNOR_KEY_PAUSED: signingPaused,
  GOVERNOR_ABANDONED: signingBusy,
}

const governorProblem = ({ code, retryAfterSeconds }: GovernorError): Problem => ({
  ...governorProblems[code],
  retryAfterSeconds,
})

/** The vault counts in windows of ten seconds and does not say when the next one begins. */
const signingThrottled: Problem = {
  code: 'signing_throttled',
  status: 503,
  title: 'Too much is to be signed',
  detail: 'The key is used as often as it may be. Try again later.',
  retryAfterSeconds: 10,
}

const signingUnavailable: Problem = {
  code: 'signing_unavailable',
  status: 503,
  title: 'Nothing can be signed now',
  detail: 'The key could not be reached. Try again later.',
  retryAfterSeconds: 5,
}

const signingBroken: Problem = {
  code: 'signing_broken',
  status: 503,
  title: 'Nothing can be signed',
  detail: 'The key cannot be used until the operator of this service has mended it.',
  retryAfterSeconds: 60,
}

const tokenUnavailable: Problem = {
  code: 'token_unavailable',
  status: 503,
  title: 'The token did not come in time',
  detail: 'Others wait for the same token, and it takes long. Try again later.',
  retryAfterSeconds: 5,
}

const signerProblems: Record<SignerErrorCode, Problem> = {
  SIGNER_THROTTLED: signingThrottled,
  SIGNER_UNAVAILABLE: signingUnavailable,
  SIGNER_TIMEOUT: signingUnavailable,
  SIGNER_TOO_LATE: signingUnavailable,
  SIGNER_CREDENTIAL: signingUnavailable,
  SIGNER_FORBIDDEN: signingBroken,
  SIGNER_KEY_DISABLED: signingBroken,
  SIGNER_KEY_OUTSIDE_VALIDITY: signingBroken,
  SIGNER_KEY_MISSING: signingBroken,
  SIGNER_REJECTED: signingBroken,
  SIGNER_WRONG_SIGNATURE: signingBroken,
  SIGNER_UNACCOUNTABLE: signingBroken,
  SIGNER_UNRECOGNISED: signingBroken,
}

/** With what Entra said then: whoever must act is the same. */
function rememberedProblem(error: RememberedRefusal): Problem {
  const { meaning, who } = tokenEndpointErrorMeanings[error.remembered]
  return {
    code: 'entra_paused',
    status: 503,
    title: 'Entra is not asked again yet',
    detail: meaning,
    retryAfterSeconds: error.retryAfterSeconds,
    entra: entraMember(error, who),
  }
}

const entraMember = (
  { errorCodes, traceId }: Pick<TokenEndpointError, 'errorCodes' | 'traceId'>,
  whoMustAct: string,
) => ({ errorCodes, ...(traceId === undefined ? {} : { traceId }), whoMustAct })

function tokenEndpointProblem(error: TokenEndpointError): Problem {
  const { meaning, who } = tokenEndpointErrorMeanings[error.code]
  const entra = entraMember(error, who)
  return who === 'nobody'
    ? {
        code: 'entra_unavailable',
        status: 503,
        title: 'Entra gave no token',
        detail: meaning,
        retryAfterSeconds: error.retryAfterSeconds ?? 10,
        entra,
      }
    : { code: 'entra_refused', status: 502, title: 'Entra refused', detail: meaning, entra }
}

/** The problem as `application/problem+json`; the attempt is absent where none was begun. */
export function problemAnswer(problem: Problem, attempt?: string): Answer {
  const { code, status, title, detail, retryAfterSeconds, entra, headers } = problem
  const retry = retryAfterSeconds === undefined ? {} : { 'retry-after': String(retryAfterSeconds) }
  return {
    ...jsonAnswer(status, {
      type: `urn:countersign:problem:${code}`,
      title,
      status,
      detail,
      code,
      attempt,
      retryAfterSeconds,
      entra,
    }),
    contentType: 'application/problem+json',
    headers: { ...headers, ...retry },
  }
}
