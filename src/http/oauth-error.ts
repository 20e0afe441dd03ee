import type { Refusal } from '../issuance/refusal.ts'
import { type Answer, jsonAnswer } from './answer.ts'
import { problemFromFailure } from './problem-from-failure.ts'
import { problemFromRefusal } from './problem-from-refusal.ts'
import type { Problem } from './problem.ts'
import { type TokenOutcomeKind, tokenOutcomeOf } from './token-outcome.ts'
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

const oauthErrors: Record<TokenOutcomeKind, OAuthError> = {
  malformed: invalidRequest,
  'not-proven': invalidClient,
  spent: invalidClient,
  'not-granted': unauthorizedClient,
  stopped: unauthorizedClient,
  'too-long': unauthorizedClient,
  'refused-by-entra': invalidTarget,
  'too-many': { error: 'temporarily_unavailable', status: 429 },
  unavailable: { error: 'temporarily_unavailable', status: 503 },
  mistake: { error: 'server_error', status: 500 },
}

const oauthErrorFrom = ({ code }: Pick<Problem, 'code'>) => oauthErrors[tokenOutcomeOf(code)]

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
