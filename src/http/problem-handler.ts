import type { ErrorRequestHandler } from 'express'
import { newAttemptId } from '../base/ids.ts'
import { failureCode } from '../issuance/failure-code.ts'
import type { IssuanceEvents } from '../issuance/issuance-events.ts'
import { writeAnswer } from './answer.ts'
import { problemFromFailure } from './problem-from-failure.ts'
import { problemAnswer } from './problem.ts'
import { RequestProblem } from './request-problem.ts'

/**
 * Answers what no route has answered: paths and methods that there are not, and mistakes of ours
 * outside of an attempt. The latter are logged under an attempt of their own, which the answer tells.
 */
export function problemHandler(events: IssuanceEvents): ErrorRequestHandler {
  // Express finds its error handler by the number of its parameters.
  return (error, _request, response, _next) => {
    const cause = undecodable(error)
    const close = { connection: 'close' }
    if (cause instanceof RequestProblem) {
      writeAnswer(response, problemAnswer(problemFromFailure(cause)), close)
      return
    }
    const attempt = newAttemptId()
    events.failed(attempt, failureCode(cause), cause)
    writeAnswer(response, problemAnswer(problemFromFailure(cause), attempt), {
      'countersign-attempt': attempt,
      ...close,
    })
  }
}

/** The router's own complaint about a path that does not percent-decode. */
const undecodable = (error: unknown): unknown =>
  error instanceof URIError
    ? new RequestProblem('request_invalid', 'The path is not validly percent-encoded.')
    : error
