import type { ProblemCode } from './problem.ts'

/** What a token request has come to, as far as clients of OAuth and of Entra can act on it. */
export type TokenOutcomeKind =
  | 'malformed'
  | 'not-proven'
  | 'spent'
  | 'not-granted'
  | 'stopped'
  | 'too-long'
  /** Nobody here can mend it, and asking again does not either. */
  | 'refused-by-entra'
  | 'too-many'
  | 'unavailable'
  | 'mistake'

/** The routes for revocations and for auditors, and listeners, have words of their own. */
export function tokenOutcomeOf(code: ProblemCode): TokenOutcomeKind {
  switch (code) {
    case 'request_invalid':
    case 'body_too_large':
    case 'cross_site':
    case 'media_type_unsupported':
    case 'not_found':
    case 'method_not_allowed':
    case 'revocation_unknown':
    case 'revocations_too_many':
    case 'entries_missing':
    case 'attempt_unknown':
    case 'revokes_its_maker':
      return 'malformed'
    case 'caller_not_proven':
      return 'not-proven'
    case 'caller_token_spent':
      return 'spent'
    case 'not_granted':
      return 'not-granted'
    case 'revoked':
      return 'stopped'
    case 'lifetime_too_long':
      return 'too-long'
    case 'entra_refused':
    case 'entra_paused':
      return 'refused-by-entra'
    case 'limit_reached':
    case 'too_many_requests':
    case 'too_many_waiting':
    case 'too_many_connections':
      return 'too-many'
    case 'not_ready':
    case 'issuer_unavailable':
    case 'ledger_unavailable':
    case 'ledger_unreadable':
    case 'audit_busy':
    case 'too_many_tokens':
    case 'signing_busy':
    case 'signing_paused':
    case 'signing_throttled':
    case 'signing_unavailable':
    case 'signing_broken':
    case 'token_unavailable':
    case 'entra_unavailable':
      return 'unavailable'
    case 'internal':
      return 'mistake'
  }
}
