import { describe, expect, test } from 'vitest'
import { AuditError, type AuditErrorCode } from '../../../src/audit/audit-error.ts'
import type { AuditRefusal } from '../../../src/audit/audit-refusal.ts'
import { parseGrantName } from '../../../src/base/ids.ts'
import { CallerError, type CallerErrorCode } from '../../../src/caller/caller.ts'
import { problemFromFailure, problemFromRequest } from '../../../src/http/problem-from-failure.ts'
import { problemFromRefusal } from '../../../src/http/problem-from-refusal.ts'
import { problemAnswer, tooManyConnections, type Problem } from '../../../src/http/problem.ts'
import { RequestProblem, type RequestProblemCode } from '../../../src/http/request-problem.ts'
import { RememberedRefusal } from '../../../src/issuance/entra-refusals.ts'
import { NothingProven } from '../../../src/issuance/nothing-proven.ts'
import type { Refusal } from '../../../src/issuance/refusal.ts'
import type { RevocationRefusal } from '../../../src/revocation/revocation-refusal.ts'
import { LedgerError, type LedgerErrorCode } from '../../../src/ledger/ledger.ts'
import { GovernorError, type GovernorErrorCode } from '../../../src/signer/governor.ts'
import { SignerError, type SignerErrorCode } from '../../../src/signer/signer.ts'
import { TokenCacheError, type TokenCacheErrorCode } from '../../../src/token-cache/token-cache.ts'
import {
  TokenEndpointError,
  type TokenEndpointErrorCode,
} from '../../../src/token-endpoint/token-endpoint.ts'
import { issuerName } from '../../support/caller-issuer.ts'
import { contract } from '../../support/contract.ts'
import { dpopChallenge } from '../../support/problems.ts'
import { required } from '../../support/required.ts'

/**
 * Every reason and code that there is, with the status and code on the wire. The types of the tables
 * make them whole: a reason that is added does not compile until it is here.
 */

type Wire = readonly [status: number, code: Problem['code'], retryAfterSeconds?: number]

const unproven: Wire = [401, 'caller_not_proven']
const spent: Wire = [401, 'caller_token_spent']
const issuer = issuerName('github')
const grant = required(parseGrantName('deploy'))
const detail = 'kid eve-was-here'

/** With the facts that each of them carries. */
const refusals: Record<
  (Refusal | RevocationRefusal | AuditRefusal)['reason'],
  readonly [facts: object, Wire]
> = {
  caller_token_missing: [{}, unproven],
  caller_token_malformed: [{ detail: 'not JSON' }, unproven],
  caller_issuer_unknown: [{}, unproven],
  caller_algorithm_refused: [{ issuer, detail }, unproven],
  caller_key_unknown: [{ issuer, detail }, unproven],
  caller_signature_wrong: [{ issuer, detail }, unproven],
  caller_audience_wrong: [{ issuer, detail }, unproven],
  caller_token_expired: [{ issuer, detail }, unproven],
  caller_token_not_yet_valid: [{ issuer, detail }, unproven],
  caller_token_too_long_lived: [{ issuer, detail }, unproven],
  caller_claim_missing: [{ issuer, detail }, unproven],
  caller_claim_refused: [{ issuer, detail }, unproven],
  caller_tenant_refused: [{ issuer, detail }, unproven],
  caller_not_an_application: [{ issuer, detail }, unproven],
  caller_is_ourselves: [{ issuer, detail }, unproven],
  caller_certificate_unknown: [{}, unproven],
  caller_certificate_ambiguous: [{}, unproven],
  caller_certificate_refused: [{ issuer, detail }, unproven],
  caller_token_unbound: [{ issuer, detail }, unproven],
  caller_binding_unknown: [{ issuer, detail }, unproven],
  caller_binding_unproven: [{ issuer, detail }, unproven],
  caller_dpop_refused: [{ issuer, detail }, unproven],
  caller_two_proofs: [{ issuer, detail }, unproven],
  caller_not_named: [{}, [403, 'not_granted']],
  grant_missing: [{ namedBy: [grant] }, [403, 'not_granted']],
  lifetime_too_long: [{ grant, maxSeconds: 300 }, [403, 'lifetime_too_long']],
  limit_reached: [{ grant, retryAfterSeconds: 17 }, [429, 'limit_reached', 17]],
  too_many_requests: [{ issuer, detail }, [429, 'too_many_requests', 1]],
  caller_token_replayed: [{ issuer, detail }, spent],
  assertions_spent: [{ issuer, detail }, spent],
  assertions_elsewhere: [{ issuer, detail }, spent],
  token_uses_full: [{ issuer, detail, retryAfterSeconds: 17 }, [503, 'too_many_tokens', 17]],
  not_ready: [{}, [503, 'not_ready', 5]],
  revoked: [{}, [403, 'revoked']],
  revokes_its_maker: [{}, [409, 'revokes_its_maker']],
  revocation_unknown: [{}, [404, 'revocation_unknown']],
  revocations_too_many: [{}, [409, 'revocations_too_many']],
  entries_missing: [{}, [409, 'entries_missing']],
  attempt_unknown: [{}, [404, 'attempt_unknown']],
}

const requests: Record<RequestProblemCode, Wire> = {
  request_invalid: [400, 'request_invalid'],
  not_found: [404, 'not_found'],
  method_not_allowed: [405, 'method_not_allowed'],
  cross_site: [403, 'cross_site'],
  body_too_large: [413, 'body_too_large'],
  media_type_unsupported: [415, 'media_type_unsupported'],
}

const unavailable: Wire = [503, 'signing_unavailable', 5]
const broken: Wire = [503, 'signing_broken', 60]

const signerFailures: Record<SignerErrorCode, Wire> = {
  SIGNER_THROTTLED: [503, 'signing_throttled', 10],
  SIGNER_UNAVAILABLE: unavailable,
  SIGNER_TIMEOUT: unavailable,
  SIGNER_TOO_LATE: unavailable,
  SIGNER_CREDENTIAL: unavailable,
  SIGNER_FORBIDDEN: broken,
  SIGNER_KEY_DISABLED: broken,
  SIGNER_KEY_OUTSIDE_VALIDITY: broken,
  SIGNER_KEY_MISSING: broken,
  SIGNER_REJECTED: broken,
  SIGNER_WRONG_SIGNATURE: broken,
  SIGNER_UNACCOUNTABLE: broken,
  SIGNER_UNRECOGNISED: broken,
}

const busy: Wire = [503, 'signing_busy', 17]

/** All of them with the time that the governor says. */
const governorFailures: Record<GovernorErrorCode, Wire> = {
  GOVERNOR_BUDGET_SPENT: busy,
  GOVERNOR_BUDGET_AWAY: busy,
  GOVERNOR_QUEUE_FULL: busy,
  GOVERNOR_CALLER_QUEUE_FULL: [429, 'too_many_waiting', 17],
  GOVERNOR_VAULT_PAUSED: [503, 'signing_paused', 17],
  GOVERNOR_KEY_PAUSED: [503, 'signing_paused', 17],
  GOVERNOR_ABANDONED: busy,
}

const refusedByEntra: Wire = [502, 'entra_refused']
const entraAway: Wire = [503, 'entra_unavailable', 10]

const tokenEndpointFailures: Record<TokenEndpointErrorCode, Wire> = {
  ENTRA_CERTIFICATE_UNKNOWN: refusedByEntra,
  ENTRA_CERTIFICATE_INVALID: refusedByEntra,
  ENTRA_ASSERTION_EXPIRED: refusedByEntra,
  ENTRA_ASSERTION_REFUSED: refusedByEntra,
  ENTRA_APPLICATION_ABSENT: refusedByEntra,
  ENTRA_APPLICATION_DISABLED: refusedByEntra,
  ENTRA_TENANT_UNKNOWN: refusedByEntra,
  ENTRA_RESOURCE_ABSENT: refusedByEntra,
  ENTRA_ROLE_MISSING: refusedByEntra,
  ENTRA_SCOPE_REFUSED: refusedByEntra,
  ENTRA_POLICY_BLOCKED: refusedByEntra,
  ENTRA_REFUSED: refusedByEntra,
  ENTRA_MALFORMED: refusedByEntra,
  ENTRA_THROTTLED: entraAway,
  ENTRA_UNAVAILABLE: entraAway,
  ENTRA_TIMEOUT: entraAway,
}

const ledgerFailures: Record<LedgerErrorCode, Wire> = {
  LEDGER_UNAVAILABLE: [503, 'ledger_unavailable', 5],
  LEDGER_OVERLOADED: [503, 'ledger_unavailable', 5],
  LEDGER_FULL: [503, 'ledger_unavailable', 5],
  LEDGER_OVERTAKEN: [503, 'ledger_unavailable', 5],
  LEDGER_USE_DENIED: [503, 'ledger_unavailable', 5],
  LEDGER_CLOSED: [503, 'ledger_unavailable', 5],
}

const auditFailures: Record<AuditErrorCode, Wire> = {
  LEDGER_UNREADABLE: [503, 'ledger_unreadable', 5],
  AUDIT_BUSY: [503, 'audit_busy', 1],
}

const callerFailures: Record<CallerErrorCode, Wire> = {
  ISSUER_UNREACHABLE: [503, 'issuer_unavailable', 5],
  ISSUER_MALFORMED: [503, 'issuer_unavailable', 5],
  ISSUER_ADDRESS_REFUSED: [503, 'issuer_unavailable', 5],
  ISSUER_BUDGET_SPENT: [503, 'issuer_unavailable', 5],
}

const tokenCacheFailures: Record<TokenCacheErrorCode, Wire> = {
  TOKEN_LATE: [503, 'token_unavailable', 5],
  TOKEN_CALLER_GONE: [503, 'token_unavailable', 5],
}

/** What an SDK, the disk or Entra might have said: for the protected log, and for nobody else. */
const cause = new Error('https://contoso-hsm.vault.azure.net said eve-was-here')

function entriesOf<Key extends string, Value>(table: Readonly<Record<Key, Value>>) {
  return Object.entries(table) as [Key, Value][]
}

const failures: readonly (readonly [string, unknown, Wire])[] = [
  ...entriesOf(requests).map(
    ([code, wire]) => [code, new RequestProblem(code, 'Do it right.'), wire] as const,
  ),
  ...entriesOf(signerFailures).map(
    ([code, wire]) =>
      [code, new SignerError(code, 'unknown', { vaultRequestId: 'eve', cause }), wire] as const,
  ),
  ...entriesOf(governorFailures).map(
    ([code, wire]) => [code, new GovernorError(code, 16_400, { cause }), wire] as const,
  ),
  ...entriesOf(tokenEndpointFailures).map(
    ([code, wire]) => [code, new TokenEndpointError(code, 'unknown', { cause }), wire] as const,
  ),
  ...entriesOf(tokenEndpointFailures).map(
    ([code]) =>
      [
        `${code} from memory`,
        new RememberedRefusal(new TokenEndpointError(code, 'no', { cause }), 'scope', 16_400),
        [503, 'entra_paused', 17],
      ] as const,
  ),
  ...entriesOf(ledgerFailures).map(
    ([code, wire]) => [code, new LedgerError(code, { cause }), wire] as const,
  ),
  ...entriesOf(auditFailures).map(
    ([code, wire]) => [code, new AuditError(code, { cause }), wire] as const,
  ),
  ...entriesOf(callerFailures).map(
    ([code, wire]) => [code, new CallerError(code, issuer, { cause }), wire] as const,
  ),
  ...entriesOf(tokenCacheFailures).map(
    ([code, wire]) => [code, new TokenCacheError(code), wire] as const,
  ),
  [
    'an issuer that may be asked again at a known time',
    new CallerError('ISSUER_BUDGET_SPENT', issuer, { retryAfterSeconds: 9 }),
    [503, 'issuer_unavailable', 9],
  ],
  ['nothing to sign with', new NothingProven(), [503, 'not_ready', 5]],
  ['a mistake of ours', new TypeError('eve-was-here'), [500, 'internal']],
  ['what is no error at all', 'eve-was-here', [500, 'internal']],
]

const problems: readonly (readonly [string, Problem, Wire])[] = [
  ...entriesOf(refusals).map(
    ([reason, [facts, wire]]) =>
      [reason, problemFromRefusal({ reason, ...facts } as Refusal), wire] as const,
  ),
  ...failures.map(([name, error, wire]) => [name, problemFromFailure(error), wire] as const),
  ['an address with too many connections', tooManyConnections, [429, 'too_many_connections', 5]],
]

test.each(problems)('%s has its status, its code and its time to wait', (_, problem, wire) => {
  const [status, code, retryAfterSeconds] = wire
  const answer = problemAnswer(problem)
  const body = JSON.parse(answer.body) as Record<string, unknown>

  expect(body).toMatchObject({ type: `urn:countersign:problem:${code}`, status, code })
  expect(answer).toMatchObject({ status, contentType: 'application/problem+json' })
  expect(body['retryAfterSeconds']).toBe(retryAfterSeconds)
  expect(answer.headers?.['retry-after']).toBe(retryAfterSeconds?.toString())
})

test.each(problems)('%s tells nothing of its facts', (_, problem) => {
  expect(problemAnswer(problem).body).not.toMatch(/eve|contoso|vault\.azure|github|"deploy"/)
})

describe('the table in openapi.yaml', () => {
  const { description } = required(contract.components.schemas['ProblemCode'])
  const documented = [...String(description).matchAll(/^\| `(\w+)` \| (\d+) \|/gm)].map(
    ([, code = '', status]) => `${code} ${status ?? ''}`,
  )

  test('has every code with the status that it has on the wire, and no other', () => {
    const onTheWire = new Set(problems.map(([, { code, status }]) => `${code} ${status}`))

    expect(documented.toSorted()).toEqual([...onTheWire].toSorted())
  })
})

describe('a refusal by Entra', () => {
  const error = new TokenEndpointError('ENTRA_THROTTLED', 'no', {
    errorCodes: [50196],
    traceId: 'a1b2',
    retryAfterSeconds: 33,
    cause,
  })

  test('passes on its numbers, its trace id, and the time that it asks for', () => {
    expect(JSON.parse(problemAnswer(problemFromFailure(error)).body)).toMatchObject({
      retryAfterSeconds: 33,
      entra: { errorCodes: [50196], traceId: 'a1b2', whoMustAct: 'nobody' },
    })
  })
})

describe('a refusal by Entra that is remembered', () => {
  const error = new TokenEndpointError('ENTRA_ROLE_MISSING', 'no', {
    errorCodes: [501051],
    traceId: 'a1b2',
    cause,
  })

  test('passes on what Entra said then, and when it is asked again', () => {
    const remembered = new RememberedRefusal(error, 'scope', 30_000)

    expect(JSON.parse(problemAnswer(problemFromFailure(remembered)).body)).toMatchObject({
      detail: 'The application has no role that the resource requires.',
      retryAfterSeconds: 30,
      entra: { errorCodes: [501051], traceId: 'a1b2', whoMustAct: 'tenant-administrator' },
    })
  })
})

describe('a refused method', () => {
  test('says which one there is (RFC 9110 §15.5.6)', () => {
    const problem = problemFromRequest(new RequestProblem('method_not_allowed', 'Use GET.', 'GET'))

    expect(problemAnswer(problem).headers).toEqual({ allow: 'GET' })
  })
})

describe('a caller that is not proven', () => {
  test('is told how to prove itself when it sent nothing, and that it failed when it did', () => {
    const { headers: sentNothing } = problemFromRefusal({ reason: 'caller_token_missing' })
    const { headers: sentSomething } = problemFromRefusal({ reason: 'caller_issuer_unknown' })

    expect(sentNothing).toEqual({ 'www-authenticate': 'Bearer' })
    expect(sentSomething).toEqual({ 'www-authenticate': 'Bearer error="invalid_token"' })
  })

  test.each([
    [{ reason: 'caller_token_unbound', mustCome: 'with-dpop' }, dpopChallenge('invalid_token')],
    [{ reason: 'caller_binding_unproven', mustCome: 'with-dpop' }, dpopChallenge('invalid_token')],
    [{ reason: 'caller_dpop_refused' }, dpopChallenge('invalid_dpop_proof')],
    [{ reason: 'caller_token_unbound' }, 'Bearer error="invalid_token"'],
    [{ reason: 'caller_binding_unproven' }, 'Bearer error="invalid_token"'],
  ] as const)('is told to prove a key by DPoP where that would help: %o', (refusal, challenge) => {
    const { headers } = problemFromRefusal({ issuer, detail, ...refusal })

    expect(headers).toEqual({ 'www-authenticate': challenge })
  })
})
