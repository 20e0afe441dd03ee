import type { Request, RequestHandler, Response } from 'express'
import { type AttemptId, newAttemptId } from '../base/ids.ts'
import { failureCode } from '../issuance/issuance.ts'
import type { IssuanceEvents } from '../issuance/issuance-events.ts'
import { type Answer, writeAnswer } from './answer.ts'
import { problemAnswer, problemFromFailure } from './problem.ts'
import { RequestProblem } from './request-problem.ts'

/** What a route makes of a request; whatever it throws becomes a problem. */
export type AttemptHandler = (
  request: Request,
  attempt: AttemptId,
  /** Of a signal that is aborted when nobody reads the answer any more. */
  gone: () => AbortSignal,
) => Promise<Answer>

/** Gives each request its attempt, tells the caller in every answer, and turns failures into words. */
export function attemptRoute(handle: AttemptHandler, events: IssuanceEvents): RequestHandler {
  return async (request, response) => {
    const attempt = newAttemptId()
    const answer = await answerTo(
      () => handle(request, attempt, () => goneFrom(response)),
      attempt,
      events,
    )
    const close = hasUnreadBody(request) ? { connection: 'close' } : {}
    writeAnswer(response, answer, { 'countersign-attempt': attempt, ...close })
  }
}

function goneFrom(response: Response): AbortSignal {
  const controller = new AbortController()
  const abort = () => {
    controller.abort()
  }
  if (response.closed) abort()
  else response.once('close', abort)
  return controller.signal
}

/** What is left of a body that nobody read must not be taken for the next request. */
function hasUnreadBody(request: Request): boolean {
  const { 'content-length': length, 'transfer-encoding': encoding } = request.headers
  const announced = encoding !== undefined || (length !== undefined && length !== '0')
  return announced && !request.complete
}

async function answerTo(
  handle: () => Promise<Answer>,
  attempt: AttemptId,
  events: IssuanceEvents,
): Promise<Answer> {
  try {
    return await handle()
  } catch (error) {
    if (!(error instanceof RequestProblem)) events.failed(attempt, failureCode(error), error)
    return problemAnswer(problemFromFailure(error), attempt)
  }
}
