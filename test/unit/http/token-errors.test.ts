import { describe, expect, test } from 'vitest'
import { parseGrantName } from '../../../src/base/ids.ts'
import { newAttemptId } from '../../../src/base/ids.ts'
import { CallerError } from '../../../src/caller/caller.ts'
import type { Answer } from '../../../src/http/answer.ts'
import { entraFailureAnswer, entraRefusalAnswer } from '../../../src/http/entra-error.ts'
import { oauthFailureAnswer, oauthRefusalAnswer } from '../../../src/http/oauth-error.ts'
import { RequestProblem } from '../../../src/http/request-problem.ts'
import {
  type TokenRequestFault,
  TokenRequestProblem,
} from '../../../src/http/token-request-problem.ts'
import { RememberedRefusal } from '../../../src/issuance/entra-refusals.ts'
import { NothingProven } from '../../../src/issuance/nothing-proven.ts'
import type { Refusal } from '../../../src/issuance/refusal.ts'
import { LedgerError } from '../../../src/ledger/ledger.ts'
import { GovernorError } from '../../../src/signer/governor.ts'
import { SignerError } from '../../../src/signer/signer.ts'
import { TokenCacheError } from '../../../src/token-cache/token-cache.ts'
import { TokenEndpointError } from '../../../src/token-endpoint/token-endpoint.ts'
import { issuerName } from '../../support/caller-issuer.ts'
import { contract } from '../../support/contract.ts'
import { required } from '../../support/required.ts'

/** Every reason for which a token request may fail, in the words of RFC 6749 §5.2 and in Entra's. */

/** Of a client, of an exchange, and of Entra's form with its number. */
type Wire = readonly [client: string, exchange: string, entra: string]

const unproven: Wire = ['401 invalid_client', '400 invalid_request', '401 invalid_client 70021']
const outOfTime: Wire = ['401 invalid_client', '400 invalid_request', '401 invalid_client 700024']
const spent: Wire = ['401 invalid_client', '400 invalid_request', '401 invalid_client 50012']
const notGranted: Wire = [
  '400 unauthorized_client',
  '400 invalid_target',
  '401 invalid_client 700213',
]
const tooMany: Wire = [
  '429 temporarily_unavailable',
  '429 temporarily_unavailable',
  '429 temporarily_unavailable 90055',
]
const unavailable: Wire = [
  '503 temporarily_unavailable',
  '503 temporarily_unavailable',
  '503 temporarily_unavailable 90033',
]

/** The type makes the table whole: a reason that is added does not compile until it is here. */
const refusals: Record<Refusal['reason'], Wire> = {
  caller_token_missing: ['401 invalid_client', '400 invalid_request', '401 invalid_client 7000218'],
  caller_token_malformed: unproven,
  caller_issuer_unknown: unproven,
  caller_algorithm_refused: unproven,
  caller_key_unknown: unproven,
  caller_signature_wrong: unproven,
  caller_audience_wrong: unproven,
  caller_token_expired: outOfTime,
  caller_token_not_yet_valid: outOfTime,
  caller_token_too_long_lived: unproven,
  caller_claim_missing: unproven,
  caller_claim_refused: unproven,
  caller_tenant_refused: unproven,
  caller_not_an_application: unproven,
  caller_is_ourselves: unproven,
  caller_certificate_unknown: unproven,
  caller_certificate_ambiguous: unproven,
  caller_certificate_refused: unproven,
  caller_token_unbound: unproven,
  caller_binding_unknown: unproven,
  caller_binding_unproven: unproven,
  caller_dpop_refused: unproven,
  caller_two_proofs: unproven,
  caller_not_named: notGranted,
  grant_missing: notGranted,
  lifetime_too_long: [
    '400 unauthorized_client',
    '400 invalid_target',
    '400 invalid_request 9002313',
  ],
  limit_reached: tooMany,
  too_many_requests: tooMany,
  caller_token_replayed: spent,
  assertions_spent: spent,
  assertions_elsewhere: spent,
  token_uses_full: unavailable,
  not_ready: unavailable,
  revoked: ['400 unauthorized_client', '400 invalid_target', '400 unauthorized_client 7000112'],
}

/** Facts of all of them, none of which may be told. */
const facts = {
  issuer: issuerName('eve-issuer'),
  grant: required(parseGrantName('eve-grant')),
  namedBy: [required(parseGrantName('eve-grant'))],
  detail: 'kid eve-was-here',
  maxSeconds: 300,
  retryAfterSeconds: 17,
}

const faults: Record<TokenRequestFault, readonly [oauth: string, entra: string]> = {
  credential_refused: ['401 invalid_client', '401 invalid_client 7000218'],
  client_invalid: ['401 invalid_client', '400 unauthorized_client 700016'],
  grant_type_unsupported: ['400 unsupported_grant_type', '400 unsupported_grant_type 70003'],
  scope_invalid: ['400 invalid_scope', '400 invalid_scope 70011'],
  target_invalid: ['400 invalid_target', '400 invalid_request 901002'],
  tenant_invalid: ['400 invalid_target', '400 invalid_request 90002'],
  instance_invalid: ['400 invalid_target', '400 invalid_instance 50049'],
}

const cause = new Error('https://contoso-hsm.vault.azure.net said eve-was-here')
const absent = new TokenEndpointError('ENTRA_APPLICATION_ABSENT', 'no', {
  errorCodes: [700016],
  cause,
})
const away = [unavailable[0], unavailable[2]] as const
const malformed = ['400 invalid_request', '400 invalid_request 9002313'] as const

const failures: readonly (readonly [string, unknown, readonly [oauth: string, entra: string]])[] = [
  ...Object.entries(faults).map(
    ([fault, wire]) =>
      [fault, new TokenRequestProblem(fault as TokenRequestFault, 'Do it right.'), wire] as const,
  ),
  ['request_invalid', new RequestProblem('request_invalid', 'Do it right.'), malformed],
  ['body_too_large', new RequestProblem('body_too_large', 'Do it right.'), malformed],
  ['another media type', new RequestProblem('media_type_unsupported', 'Do it right.'), malformed],
  ['an issuer that is away', new CallerError('ISSUER_UNREACHABLE', facts.issuer, { cause }), away],
  ['a ledger that is away', new LedgerError('LEDGER_UNAVAILABLE', { cause }), away],
  ['nothing to sign with', new NothingProven(), away],
  ['a vault that is away', new SignerError('SIGNER_TIMEOUT', 'unknown', { cause }), away],
  ['a key that is broken', new SignerError('SIGNER_KEY_DISABLED', 'no', { cause }), away],
  ['a budget that is spent', new GovernorError('GOVERNOR_BUDGET_SPENT', 1000, { cause }), away],
  [
    'a queue of its own that is full',
    new GovernorError('GOVERNOR_CALLER_QUEUE_FULL', 1000, { cause }),
    [tooMany[0], tooMany[2]],
  ],
  ['a token that is late', new TokenCacheError('TOKEN_LATE'), away],
  ['Entra away', new TokenEndpointError('ENTRA_TIMEOUT', 'unknown', { cause }), away],
  ['a refusal by Entra', absent, ['400 invalid_target', '400 unauthorized_client 700016']],
  [
    'the same from memory',
    new RememberedRefusal(absent, 'scope', 16_400),
    ['400 invalid_target', '400 unauthorized_client 700016'],
  ],
  [
    'a refusal by Entra without a number',
    new TokenEndpointError('ENTRA_MALFORMED', 'unknown', { cause }),
    ['400 invalid_target', '400 unauthorized_client 50000'],
  ],
  [
    'a mistake of ours',
    new TypeError('eve-was-here'),
    ['500 server_error', '500 server_error 50000'],
  ],
]

const trace = {
  attempt: newAttemptId(),
  nowMs: Date.UTC(2026, 10, 22, 4, 56, 16, 789),
  clientRequestId: undefined,
}

interface Body {
  readonly error: string
  readonly error_description: string
  readonly error_codes?: readonly number[]
}

const bodyOf = (answer: Answer) => JSON.parse(answer.body) as Body

function wireOf(answer: Answer): string {
  const { error, error_codes } = bodyOf(answer)
  return [answer.status, error, ...(error_codes?.slice(0, 1) ?? [])].join(' ')
}

const refusalOf = (reason: string) => ({ reason, ...facts }) as unknown as Refusal

describe.each(Object.entries(refusals))('%s', (reason, [client, exchange, entra]) => {
  const answers = [
    oauthRefusalAnswer(refusalOf(reason), 'client'),
    oauthRefusalAnswer(refusalOf(reason), 'exchange'),
    entraRefusalAnswer(refusalOf(reason), 'known', trace),
  ]

  test('has its status and error in every voice', () => {
    expect(answers.map(wireOf)).toEqual([client, exchange, entra])
  })

  test('tells nothing of its facts', () => {
    expect(answers.map(({ body }) => body).join('\n')).not.toMatch(/eve/)
  })

  test('says when to come again where waiting helps', () => {
    const waits = /^(429|503)/.test(client)
    expect(answers.map(({ headers }) => headers?.['retry-after'] !== undefined)).toEqual([
      waits,
      waits,
      waits,
    ])
  })
})

describe.each(failures)('%s', (_, error, [oauth, entra]) => {
  const answers = [oauthFailureAnswer(error), entraFailureAnswer(error, trace)]

  test('has its status and error in both voices', () => {
    expect(answers.map(wireOf)).toEqual([oauth, entra])
  })

  test('tells nothing of its cause', () => {
    expect(answers.map(({ body }) => body).join('\n')).not.toMatch(/eve|contoso/)
  })
})

test('descriptions keep to the characters that RFC 6749 §5.2 allows', () => {
  const answers = [
    ...Object.keys(refusals).flatMap((reason) => [
      oauthRefusalAnswer(refusalOf(reason), 'client'),
      oauthRefusalAnswer(refusalOf(reason), 'exchange'),
    ]),
    ...failures.map(([, error]) => oauthFailureAnswer(error)),
  ]
  const wrong = answers
    .map((answer) => bodyOf(answer).error_description)
    .filter((text) => !/^[\x20-\x21\x23-\x5B\x5D-\x7E]+$/.test(text))
  expect(wrong).toEqual([])
})

describe('a refused credential', () => {
  const problem = new TokenRequestProblem('credential_refused', 'Do it right.', 'Bearer')

  test('that came in Authorization is answered in its scheme, others are not', () => {
    const without = new TokenRequestProblem('credential_refused', 'Do it right.')
    const challenges = [problem, without].flatMap((error) =>
      [oauthFailureAnswer(error), entraFailureAnswer(error, trace)].map(
        ({ headers }) => headers?.['www-authenticate'],
      ),
    )
    expect(challenges).toEqual(['Bearer', 'Bearer', undefined, undefined])
  })
})

describe("Entra's form", () => {
  test('has the attempt for a trace, and for a correlation where the client named none', () => {
    const clientRequestId = '0a1b2c3d-0000-4000-8000-00000000abcd'
    const [own, given] = [trace, { ...trace, clientRequestId }].map((one) =>
      entraRefusalAnswer(refusalOf('not_ready'), 'known', one),
    )

    expect(JSON.parse(required(own).body)).toMatchObject({
      timestamp: '2026-11-22 04:56:16Z',
      trace_id: trace.attempt,
      correlation_id: trace.attempt,
    })
    expect(required(own).headers).toEqual({ 'x-ms-request-id': trace.attempt, 'retry-after': '5' })
    expect(JSON.parse(required(given).body)).toMatchObject({ correlation_id: clientRequestId })
    expect(required(given).headers).toMatchObject({ 'client-request-id': clientRequestId })
  })

  test('tells that a client id is none of ours to whom a grant names, and to nobody else', () => {
    const unknown = (reason: string) =>
      wireOf(entraRefusalAnswer(refusalOf(reason), 'unknown', trace))

    expect(unknown('grant_missing')).toBe('400 unauthorized_client 700016')
    expect(unknown('caller_not_named')).toBe(notGranted[2])
    expect(unknown('caller_issuer_unknown')).toBe(unproven[2])
  })
})

describe('openapi.yaml', () => {
  const rowsOf = (description: unknown) =>
    [...String(description).matchAll(/^\| (.+?) \| (.+?) \| (?:(\d+) \| )?/gm)]
      .map(([, first = '', second = '', third]) => {
        const [a, b] = [first.replaceAll('`', ''), second.replaceAll('`', '')]
        return third === undefined ? `${b} ${a}` : `${third} ${b} ${a}`
      })
      .filter((row) => /^\d{3} /.test(row))

  test('has every OAuth error with its status, and no other', () => {
    const wires = new Set([
      ...Object.values(refusals).flatMap(([client, exchange]) => [client, exchange]),
      ...failures.map(([, , [oauth]]) => oauth),
    ])
    const { description } = required(contract.components.schemas['OAuthErrorCode'])
    expect(rowsOf(description).toSorted()).toEqual([...wires].toSorted())
  })

  test("has every number of Entra's form with its error and status, and no other", () => {
    const wires = new Set([
      ...Object.values(refusals).map(([, , entra]) => entra),
      ...failures.map(([, , [, entra]]) => entra),
    ])
    const { properties } = required(contract.components.schemas['EntraErrorAnswer']) as {
      properties: { error_codes: { items: { description?: string }; description?: string } }
    }
    const { error_codes } = properties
    expect(rowsOf(error_codes.description).toSorted()).toEqual([...wires].toSorted())
  })
})
