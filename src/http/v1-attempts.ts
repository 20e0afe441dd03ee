import type { Request } from 'express'
import { readAttempt } from '../audit/read-attempt.ts'
import { parseAttemptId } from '../base/ids.ts'
import { attemptRoute, type AttemptRoute } from './attempt-route.ts'
import { presentedProofsOf } from './presented-proofs.ts'
import { problemFromRefusal } from './problem-from-refusal.ts'
import { problemAnswer } from './problem.ts'
import { RequestProblem } from './request-problem.ts'
import { type AuditRoutesDeps, ledgerLinesJson } from './v1-entries.ts'

/** `GET /v1/attempts/{id}`: what the ledger has of one attempt. */
export function attemptStoryRoute(inForce: () => AuditRoutesDeps): AttemptRoute<Request> {
  return attemptRoute(async (request, attempt) => {
    const id = parseAttemptId(String(request.params['id']))
    if (id === undefined) {
      throw new RequestProblem('request_invalid', 'The id of an attempt must be a GUID.')
    }
    const proofs = presentedProofsOf(request)
    const outcome = await readAttempt({ attempt, proofs, id }, inForce())
    if (!outcome.ok) return problemAnswer(problemFromRefusal(outcome.refusal), attempt)
    const { rows, complete } = outcome.found
    return {
      status: 200,
      contentType: 'application/json',
      body: `{"id":"${id}","entries":${ledgerLinesJson(rows)},"complete":${complete},"attempt":"${attempt}"}`,
    }
  }, inForce())
}
