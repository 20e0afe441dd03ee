import { type Answer, jsonAnswer } from './answer.ts'
import type { RequestProblemCode } from './request-problem.ts'

/**
 * What our reasons and codes are on the wire (RFC 9457). Many reasons share one dull sentence on purpose:
 * what would help a caller who is in the right helps everybody else too. The attempt id is what the
 * operator finds the true reason by.
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

/** To whoever has more connections than an address may have: nothing that is asked there is looked at. */
export const tooManyConnections: Problem = {
  code: 'too_many_connections',
  status: 429,
  title: 'Too many connections from your address',
  detail: 'Use connections again that you have, and close what you do not need.',
  retryAfterSeconds: 5,
}

export const notReady: Problem = {
  code: 'not_ready',
  status: 503,
  title: 'The service is not ready',
  detail: 'It has not proven its key yet. Try again later.',
  retryAfterSeconds: 5,
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
