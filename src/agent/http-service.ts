import { readFileSync } from 'node:fs'
import { buildConnector, Pool, type Dispatcher } from 'undici'
import { z } from 'zod'
import { withDeadline } from '../base/deadline.ts'
import { parseAttemptId } from '../base/ids.ts'
import { Secret } from '../base/secret.ts'
import { AnswerTooLong } from '../base/whole-answer.ts'
import { type BoundedAnswer, boundedAnswer } from './bounded-answer.ts'
import {
  type CountersignService,
  type IssuedCredential,
  ServiceError,
  type ToldProblem,
} from './countersign-service.ts'
import type { WorkloadIdentity } from './workload-identity.ts'

/** Of the whole request; a cold token costs the service a signature and an exchange. */
const timeoutMs = 15_000
/** Of finding out who the workload is, the platform's own retries included. */
const identityTimeoutMs = 20_000

/** @param service Connections to it, and to nothing else. */
export function createHttpService(
  origin: string,
  identity: WorkloadIdentity,
  service: Dispatcher,
): CountersignService {
  const post = async (path: string, body: object, own: Secret<string> | undefined) => {
    try {
      const order = {
        origin,
        path,
        method: 'POST',
        headers: {
          accept: 'application/json',
          'content-type': 'application/json',
          ...(own === undefined ? {} : { authorization: `Bearer ${own.reveal()}` }),
        },
        body: JSON.stringify(body),
      } as const
      return await boundedAnswer(service, order, timeoutMs)
    } catch (error) {
      throw transportError(error)
    }
  }

  const ask = async (path: string, body: object): Promise<BoundedAnswer> => {
    const own = await ownToken(identity)
    const answer = await post(path, body, own)
    if (answer.status !== 401 || own === undefined) return answer
    // The file was being replaced, or the token ended on the way.
    const another = await ownToken(identity)
    return another?.reveal() === own.reveal() ? answer : await post(path, body, another)
  }

  return {
    token: async (order) => issuedFrom(await ask('/v1/token', order), tokenAnswer),
    assertion: async (order) => issuedFrom(await ask('/v1/assertion', order), assertionAnswer),
  }
}

/**
 * Connections to the service.
 *
 * @param certificate Files that are read for each request, which has a connection of its own, because the
 *   platform replaces them; absent: connections show none.
 */
export function connectionsTo(
  origin: string,
  certificate?: { readonly certFile: string; readonly keyFile: string },
): Pool {
  const timeouts = { timeout: 5_000 }
  return new Pool(origin, {
    connections: 16,
    // A connection that is kept would go on under the certificate before.
    pipelining: certificate === undefined ? 1 : 0,
    connect:
      certificate === undefined
        ? timeouts
        : (options, done) => {
            try {
              const cert = readFileSync(certificate.certFile)
              const key = readFileSync(certificate.keyFile)
              buildConnector({ ...timeouts, cert, key })(options, done)
            } catch (error) {
              done(new CertificateUnreadable({ cause: error }), null)
            }
          },
  })
}

class CertificateUnreadable extends Error {
  override readonly name = 'CertificateUnreadable'

  constructor(options: ErrorOptions) {
    super("the workload's certificate cannot be used", options)
  }
}

async function ownToken(identity: WorkloadIdentity): Promise<Secret<string> | undefined> {
  try {
    return await withDeadline(identityTimeoutMs, () => identity.token())
  } catch (error) {
    throw new ServiceError('WORKLOAD_IDENTITY_UNAVAILABLE', { cause: error })
  }
}

function transportError(error: unknown): ServiceError {
  if (error instanceof CertificateUnreadable) {
    return new ServiceError('WORKLOAD_IDENTITY_UNAVAILABLE', { cause: error })
  }
  if (error instanceof AnswerTooLong) {
    return new ServiceError('SERVICE_MALFORMED', { cause: error })
  }
  const isLate = error instanceof Error && ['TimeoutError', 'AbortError'].includes(error.name)
  return new ServiceError(isLate ? 'SERVICE_TIMEOUT' : 'SERVICE_UNREACHABLE', { cause: error })
}

/** What can be sent on in a header, and is not nothing. */
const credential = z.string().regex(/^[\x21-\x7e]+$/)
/** The longest that Entra gives lives for 28 hours; what is said to live longer would be kept for as long. */
const tokenLifetime = z
  .int()
  .positive()
  .max(2 * 86_400)
/** The longest that the service makes. */
const assertionLifetime = z.int().positive().max(600)
const attemptForm = z.string().transform((text, context) => {
  const attempt = parseAttemptId(text)
  if (attempt !== undefined) return attempt
  context.issues.push({ code: 'custom', message: 'an attempt', input: text })
  return z.NEVER
})

const tokenAnswer = z
  .object({
    access_token: credential,
    token_type: z.literal('Bearer'),
    expires_in: tokenLifetime,
    attempt: attemptForm,
  })
  .transform(({ access_token: text, expires_in: seconds, attempt }) => ({ text, seconds, attempt }))

const assertionAnswer = z
  .object({ client_assertion: credential, expires_in: assertionLifetime, attempt: attemptForm })
  .transform(({ client_assertion: text, expires_in: seconds, attempt }) => ({
    text,
    seconds,
    attempt,
  }))

function issuedFrom(
  answer: BoundedAnswer,
  form: typeof tokenAnswer | typeof assertionAnswer,
): IssuedCredential {
  if (answer.status !== 200) throw refusalFrom(answer)
  const expected = form.safeParse(answer.body)
  if (!expected.success) throw new ServiceError('SERVICE_MALFORMED')
  const { text, seconds, attempt } = expected.data
  return { value: new Secret(text), expiresInSeconds: seconds, attempt }
}

const problemForm = z.object({
  code: z
    .string()
    .regex(/^[a-z_]{1,64}$/)
    .exactOptional()
    .catch(''),
  attempt: attemptForm.optional().catch(undefined),
})

function refusalFrom({ status, retryAfterSeconds, body }: BoundedAnswer): ServiceError {
  const problem = problemForm.safeParse(body).data
  const told: ToldProblem = {
    ...(problem?.code === undefined || problem.code === '' ? {} : { code: problem.code }),
    ...(problem?.attempt === undefined ? {} : { attempt: problem.attempt }),
  }
  const facts = { told, retryAfterSeconds }
  if (status === 429) return new ServiceError('SERVICE_THROTTLED', facts)
  // A proxy in front of the service answers for it while it is away.
  if (status >= 500 && told.code !== 'entra_refused') return new ServiceError('SERVICE_BUSY', facts)
  // Whatever else answers is not the service: it never says no without a code.
  if (told.code === undefined) return new ServiceError('SERVICE_MALFORMED', facts)
  if (told.code === 'entra_refused') return new ServiceError('SERVICE_ENTRA_REFUSED', facts)
  return new ServiceError(status === 401 ? 'SERVICE_CALLER_REFUSED' : 'SERVICE_REFUSED', facts)
}
