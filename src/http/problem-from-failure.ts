import { AuditError, type AuditErrorCode } from '../audit/audit-error.ts'
import { CallerError } from '../caller/caller.ts'
import { RememberedRefusal } from '../issuance/entra-refusals.ts'
import { NothingProven } from '../issuance/nothing-proven.ts'
import { LedgerError } from '../ledger/ledger.ts'
import { GovernorError, type GovernorErrorCode } from '../signer/governor.ts'
import { SignerError, type SignerErrorCode } from '../signer/signer.ts'
import { TokenCacheError } from '../token-cache/token-cache.ts'
import { TokenEndpointError, tokenEndpointErrorMeanings } from '../token-endpoint/token-endpoint.ts'
import { notReady, type Problem } from './problem.ts'
import { RequestProblem, type RequestProblemCode } from './request-problem.ts'

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
