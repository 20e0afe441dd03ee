import type { Refusal } from '../issuance/refusal.ts'
import { type Answer, jsonAnswer } from './answer.ts'
import { type Problem, problemFromFailure, problemFromRefusal } from './problem.ts'
import { type TokenRequestFault, TokenRequestProblem } from './token-request-problem.ts'

/**
 * The words of `problem.ts` for OAuth clients (RFC 6749 §5.2): the same reasons and codes, in the few
 * that there are. The last two are from its §4.1.2.1: §5.2 has none for a server that cannot answer now.
 */
export type OAuthErrorCode =
  | 'invalid_request'
  | 'invalid_client'
  | 'unauthorized_client'
  | 'unsupported_grant_type'
  | 'invalid_scope'
  | 'invalid_target'
  | 'temporarily_unavailable'
  | 'server_error'

/** How the caller proves itself: as a client, or by the token that it wants exchanged. */
export type OAuthWay = 'client' | 'exchange'

interface OAuthError {
  readonly error: OAuthErrorCode
  readonly status: number
}

const invalidRequest: OAuthError = { error: 'invalid_request', status: 400 }
const invalidClient: OAuthError = { error: 'invalid_client', status: 401 }
const invalidTarget: OAuthError = { error: 'invalid_target', status: 400 }
const unauthorizedClient: OAuthError = { error: 'unauthorized_client', status: 400 }
const tooMany: OAuthError = { error: 'temporarily_unavailable', status: 429 }
const unavailable: OAuthError = { error: 'temporarily_unavailable', status: 503 }

/** For what a token request comes to; the revocation routes, and listeners, have words of their own. */
function oauthErrorFrom({ code }: Pick<Problem, 'code'>): OAuthError {
  switch (code) {
    case 'request_invalid':
    case 'body_too_large':
    case 'cross_site':
    case 'media_type_unsupported':
    case 'not_found':
    case 'method_not_allowed':
    case 'revocation_unknown':
    case 'revocations_too_many':
    case 'revokes_its_maker':
      return invalidRequest
    case 'caller_not_proven':
    case 'caller_token_spent':
      return invalidClient
    case 'not_granted':
    case 'revoked':
    case 'lifetime_too_long':
      return unauthorizedClient
    // Nobody here can mend it, and asking again does not either.
    case 'entra_refused':
    case 'entra_paused':
      return invalidTarget
    case 'limit_reached':
    case 'too_many_requests':
    case 'too_many_waiting':
    case 'too_many_connections':
      return tooMany
    case 'not_ready':
    case 'issuer_unavailable':
    case 'ledger_unavailable':
    case 'too_many_tokens':
    case 'signing_busy':
    case 'signing_paused':
    case 'signing_throttled':
    case 'signing_unavailable':
    case 'signing_broken':
    case 'token_unavailable':
    case 'entra_unavailable':
      return unavailable
    case 'internal':
      return { error: 'server_error', status: 500 }
  }
}

/** A subject token is no client authentication, and what it may not have is a target (RFC 8693 §2.2.2). */
function ofExchange(error: OAuthError): OAuthError {
  if (error === invalidClient) return invalidRequest
  return error === unauthorizedClient ? invalidTarget : error
}

const faultErrors: Record<TokenRequestFault, OAuthError> = {
  credential_refused: invalidClient,
  client_invalid: invalidClient,
  grant_type_unsupported: { error: 'unsupported_grant_type', status: 400 },
  scope_invalid: { error: 'invalid_scope', status: 400 },
  target_invalid: invalidTarget,
  tenant_invalid: invalidTarget,
  instance_invalid: invalidTarget,
}

export function oauthRefusalAnswer(refusal: Refusal, way: OAuthWay): Answer {
  const problem = problemFromRefusal(refusal)
  const error = oauthErrorFrom(problem)
  const detail =
    refusal.reason === 'caller_token_missing'
      ? 'Send the caller token as client_assertion, or come with a client certificate.'
      : problem.detail
  return oauthAnswer(way === 'exchange' ? ofExchange(error) : error, { ...problem, detail })
}

export function oauthFailureAnswer(error: unknown): Answer {
  const problem = problemFromFailure(error)
  if (!(error instanceof TokenRequestProblem)) return oauthAnswer(oauthErrorFrom(problem), problem)
  const { fault, challenge } = error
  const answer = oauthAnswer(faultErrors[fault], problem)
  if (challenge === undefined) return answer
  return { ...answer, headers: { ...answer.headers, 'www-authenticate': challenge } }
}

function oauthAnswer(
  { error, status }: OAuthError,
  { detail, entra, retryAfterSeconds }: Problem,
): Answer {
  const numbers =
    entra === undefined ? '' : ` Entra: ${entra.errorCodes.join(', ') || 'no number'}.`
  return {
    ...jsonAnswer(status, { error, error_description: `${detail}${numbers}` }),
    ...(retryAfterSeconds === undefined
      ? {}
      : { headers: { 'retry-after': String(retryAfterSeconds) } }),
  }
}
