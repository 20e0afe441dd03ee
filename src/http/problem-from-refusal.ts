import type { AuditRefusal } from '../audit/audit-refusal.ts'
import { callerAlgorithms } from '../base/caller-algorithms.ts'
import type { Refusal } from '../issuance/refusal.ts'
import type { RevocationRefusal } from '../revocation/revocation-refusal.ts'
import { notReady, type Problem } from './problem.ts'

/** The one map from reasons to words. */
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
