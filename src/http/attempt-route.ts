import type { Request, RequestHandler } from 'express'
import { type AttemptId, newAttemptId } from '../base/ids.ts'
import { failureCode } from '../issuance/issuance.ts'
import type { IssuanceEvents } from '../issuance/issuance-events.ts'
import { type Answer, writeAnswer } from './answer.ts'
import { problemAnswer, problemFromFailure } from './problem.ts'
import { RequestProblem } from './request-problem.ts'

/** What a route makes of a request; whatever it throws becomes a problem. */
export type AttemptHandler = (request: Request, attempt: AttemptId) => Promise<Answer>

/** Gives each request its attempt, tells the caller in every answer, and turns failures into words. */
export function attemptRoute(handle: AttemptHandler, events: IssuanceEvents): RequestHandler {
  return async (request, response) => {
    const attempt = newAttemptId()
    const answer = await answerTo(() => handle(request, attempt), attempt, events)
    writeAnswer(response, answer, { 'countersign-attempt': attempt })
  }
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
