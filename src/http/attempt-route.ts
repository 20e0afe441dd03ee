import type { IncomingMessage, ServerResponse } from 'node:http'
import { AuditError } from '../audit/audit-error.ts'
import { type AttemptId, newAttemptId } from '../base/ids.ts'
import { failureCode, isCallerGone } from '../issuance/failure-code.ts'
import type { IssuanceDeps } from '../issuance/issuance-deps.ts'
import type { IssuanceEvents } from '../issuance/issuance-events.ts'
import { SignInError } from '../sign-in/sign-in.ts'
import { type Answer, writeAnswer } from './answer.ts'
import { refuseCrossSite } from './cross-site.ts'
import { problemFromFailure } from './problem-from-failure.ts'
import { problemAnswer } from './problem.ts'
import { RequestProblem } from './request-problem.ts'
import { refuseSecretInTarget } from './stronger-credentials.ts'

/** What a route makes of a request; whatever it throws becomes a problem. */
export type AttemptHandler<Message extends IncomingMessage> = (
  request: Message,
  attempt: AttemptId,
  /** Of a signal that is aborted when nobody reads the answer any more. */
  gone: () => AbortSignal,
) => Promise<Answer>

/** Resolves when the answer is handed over; never rejects for anything that a request can bring about. */
export type AttemptRoute<Message extends IncomingMessage = IncomingMessage> = (
  request: Message,
  response: ServerResponse,
) => Promise<void>

/** Words for what a route throws. */
export type FailureVoice<Message extends IncomingMessage = IncomingMessage> = (
  error: unknown,
  attempt: AttemptId,
  request: Message,
) => Answer

const inProblems: FailureVoice = (error, attempt) =>
  problemAnswer(problemFromFailure(error), attempt)

/** What a route does not take from a browser, before anything else is looked at. @throws RequestProblem */
export type RefuseBrowser = (request: IncomingMessage) => void

/** Gives each request its attempt, tells the caller in every answer, and turns failures into words. */
export function attemptRoute<Message extends IncomingMessage>(
  handle: AttemptHandler<Message>,
  { events, underWay }: Pick<IssuanceDeps, 'events' | 'underWay'>,
  voice: FailureVoice<Message> = inProblems,
  refuseBrowser: RefuseBrowser = refuseCrossSite,
): AttemptRoute<Message> {
  // One function that waits, because each costs every request a promise or two.
  return async (request, response) => {
    const attempt = newAttemptId()
    let answer: Answer
    underWay.begin()
    try {
      refuseBrowser(request)
      refuseSecretInTarget(request)
      answer = await handle(request, attempt, () => goneFrom(response))
    } catch (error) {
      tellOfFailure(error, attempt, events)
      answer = voice(error, attempt, request)
    } finally {
      underWay.end()
    }
    writeAnswer(response, answer, { 'countersign-attempt': attempt })
  }
}

/** One for all: each answer ends with a close, and an error of its own would cost more than the signal. */
const closed = new DOMException('the connection is closed', 'AbortError')

function goneFrom(response: ServerResponse): AbortSignal {
  const controller = new AbortController()
  const abort = () => {
    controller.abort(closed)
  }
  if (response.closed) abort()
  else response.once('close', abort)
  return controller.signal
}

function tellOfFailure(error: unknown, attempt: AttemptId, events: IssuanceEvents): void {
  if (isCallerGone(error)) events.callerGone(attempt)
  else if (error instanceof AuditError || error instanceof SignInError) {
    events.failed(attempt, error.code, error)
  } else if (!(error instanceof RequestProblem)) events.failed(attempt, failureCode(error), error)
}
