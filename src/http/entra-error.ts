import type { IncomingMessage } from 'node:http'
import { isoTimeFrom } from '../base/clock.ts'
import { type AttemptId, parseClientRequestId } from '../base/ids.ts'
import type { Refusal } from '../issuance/refusal.ts'
import { type Answer, jsonAnswer } from './answer.ts'
import { problemFromFailure } from './problem-from-failure.ts'
import { problemFromRefusal } from './problem-from-refusal.ts'
import type { Problem } from './problem.ts'
import { type TokenOutcomeKind, tokenOutcomeOf } from './token-outcome.ts'
import { type TokenRequestFault, TokenRequestProblem } from './token-request-problem.ts'

/**
 * The words of `problem.ts` for clients of Entra: the same reasons and codes, under the numbers by which
 * Azure SDKs and their guides tell a person what to do.
 */
interface EntraError {
  readonly error: string
  readonly status: number
  /** `AADSTS…`; the first one is what clients branch on. */
  readonly numbers: readonly number[]
}

/** What every answer of these routes repeats or tells, as Entra does. */
export interface EntraTrace {
  readonly attempt: AttemptId
  /** Wall clock; milliseconds since the Unix epoch. */
  readonly nowMs: number
  /** `client-request-id` of the request; undefined when it had none that is a GUID. */
  readonly clientRequestId: string | undefined
}

const entraError = (number: number, error: string, status = 400): EntraError => ({
  error,
  status,
  numbers: [number],
})

const malformed = entraError(9002313, 'invalid_request')
const assertionMissing = entraError(7000218, 'invalid_client', 401)
const assertionOutOfTime = entraError(700024, 'invalid_client', 401)
const applicationUnknown = entraError(700016, 'unauthorized_client')
/** Of no issuer that counts, to begin with. */
const noFederation = entraError(70021, 'invalid_client', 401)
/** Of one that does, and this subject may not have it. */
const subjectNotFederated = entraError(700213, 'invalid_client', 401)

const entraErrors: Record<Exclude<TokenOutcomeKind, 'refused-by-entra'>, EntraError> = {
  malformed,
  'not-proven': noFederation,
  spent: entraError(50012, 'invalid_client', 401),
  'not-granted': subjectNotFederated,
  stopped: entraError(7000112, 'unauthorized_client'),
  'too-long': malformed,
  'too-many': entraError(90055, 'temporarily_unavailable', 429),
  unavailable: entraError(90033, 'temporarily_unavailable', 503),
  mistake: entraError(50000, 'server_error', 500),
}

function entraErrorFrom({ code, entra }: Problem): EntraError {
  const kind = tokenOutcomeOf(code)
  return kind === 'refused-by-entra' ? refusedByEntra(entra?.errorCodes ?? []) : entraErrors[kind]
}

/** Its own numbers are what its guides explain. Not 5xx: clients would try that again at once. */
const refusedByEntra = (numbers: readonly number[]): EntraError =>
  numbers.length === 0
    ? entraError(50000, 'unauthorized_client')
    : { error: 'unauthorized_client', status: 400, numbers }

const faultErrors: Record<TokenRequestFault, EntraError> = {
  credential_refused: assertionMissing,
  client_invalid: applicationUnknown,
  grant_type_unsupported: entraError(70003, 'unsupported_grant_type'),
  scope_invalid: entraError(70011, 'invalid_scope'),
  target_invalid: entraError(901002, 'invalid_request'),
  tenant_invalid: entraError(90002, 'invalid_request'),
  instance_invalid: entraError(50049, 'invalid_instance'),
}

/** Reasons that clients of Entra are told more of than others are. */
const toldReasons: Readonly<
  Partial<Record<Refusal['reason'], EntraError & { readonly detail: string }>>
> = {
  caller_token_missing: {
    ...assertionMissing,
    detail:
      "The request body must contain the following parameter: 'client_assertion', the caller's own token.",
  },
  // An issuer that counts has signed it, so it is no news to whoever has it. Clients read their file again.
  caller_token_expired: {
    ...assertionOutOfTime,
    detail: 'Client assertion is not within its valid time range: it has expired.',
  },
  caller_token_not_yet_valid: {
    ...assertionOutOfTime,
    detail: 'Client assertion is not within its valid time range: it is not valid yet.',
  },
}

/** @param client Whether an application of this service has the client id that was asked for. */
export function entraRefusalAnswer(
  refusal: Refusal,
  client: 'known' | 'unknown',
  trace: EntraTrace,
): Answer {
  const problem = problemFromRefusal(refusal)
  // Told to those whom a grant names, and to nobody else.
  if (refusal.reason === 'grant_missing' && client === 'unknown') {
    const detail = 'No application of this service has this client_id.'
    return entraAnswer(applicationUnknown, { detail }, trace)
  }
  const told = toldReasons[refusal.reason]
  return told === undefined
    ? entraAnswer(entraErrorFrom(problem), problem, trace)
    : entraAnswer(told, told, trace)
}

export function entraFailureAnswer(error: unknown, trace: EntraTrace): Answer {
  const problem = problemFromFailure(error)
  return error instanceof TokenRequestProblem
    ? withChallenge(entraAnswer(faultErrors[error.fault], problem, trace), error.challenge)
    : entraAnswer(entraErrorFrom(problem), problem, trace)
}

const withChallenge = (answer: Answer, challenge: string | undefined): Answer =>
  challenge === undefined
    ? answer
    : { ...answer, headers: { ...answer.headers, 'www-authenticate': challenge } }

export function entraTraceOf(
  { url = '', headers }: IncomingMessage,
  attempt: AttemptId,
  nowMs: number,
): EntraTrace {
  const inQuery = new URLSearchParams(url.split('?')[1] ?? '').get('client-request-id')
  const sent = inQuery ?? headers['client-request-id']
  const clientRequestId = typeof sent === 'string' ? parseClientRequestId(sent) : undefined
  return { attempt, nowMs, clientRequestId }
}

/** Headers of every answer: ids that Azure's logs call the same. */
export const entraHeaders = ({ attempt, clientRequestId }: EntraTrace) => ({
  'x-ms-request-id': attempt,
  ...(clientRequestId === undefined ? {} : { 'client-request-id': clientRequestId }),
})

function entraAnswer(
  { error, status, numbers }: EntraError,
  { detail, retryAfterSeconds }: Pick<Problem, 'detail' | 'retryAfterSeconds'>,
  trace: EntraTrace,
): Answer {
  const { attempt, nowMs, clientRequestId: correlation = attempt } = trace
  const timestamp = entraTimeFrom(nowMs)
  const ids = `Trace ID: ${attempt} Correlation ID: ${correlation} Timestamp: ${timestamp}`
  return {
    ...jsonAnswer(status, {
      error,
      error_description: `AADSTS${numbers[0] ?? ''}: ${detail} ${ids}`,
      error_codes: numbers,
      timestamp,
      trace_id: attempt,
      correlation_id: correlation,
    }),
    headers: {
      ...entraHeaders(trace),
      ...(retryAfterSeconds === undefined ? {} : { 'retry-after': String(retryAfterSeconds) }),
    },
  }
}

/** `2026-11-22 04:56:16Z` */
const entraTimeFrom = (ms: number) => isoTimeFrom(ms).replace('T', ' ').replace(/\.\d+/, '')
