import type { Request } from 'express'
import { type AssertionAsk, issueAssertion } from '../issuance/issuance.ts'
import type { IssuanceDeps } from '../issuance/issuance-deps.ts'
import { jsonAnswer } from './answer.ts'
import { applicationFrom, tenantFrom } from './ask.ts'
import { attemptRoute, type AttemptRoute } from './attempt-route.ts'
import { presentedProofsOf } from './presented-proofs.ts'
import { problemFromRefusal } from './problem-from-refusal.ts'
import { problemAnswer } from './problem.ts'
import { RequestProblem } from './request-problem.ts'

/** What clients of GitHub's request URL ask for when they mean Entra. */
const entraTokenExchange = 'api://AzureADTokenExchange'

/**
 * `GET /v1/assertion/{application}/{tenant}[?audience=]`: the same assertion in the shape of the
 * request URL of GitHub Actions, for Terraform and its kin. The attempt is in the header only, as in
 * every shape that is not ours.
 */
export function assertionRequestUrlRoute(inForce: () => IssuanceDeps): AttemptRoute<Request> {
  return attemptRoute(async (request, attempt, gone) => {
    const ask = askFrom(request)
    const proofs = presentedProofsOf(request)
    const outcome = await issueAssertion({ attempt, proofs, ask, gone }, inForce)
    return outcome.ok
      ? jsonAnswer(200, { value: outcome.assertion.reveal() })
      : problemAnswer(problemFromRefusal(outcome.refusal), attempt)
  }, inForce())
}

function askFrom(request: Request): AssertionAsk {
  const application = applicationFrom(String(request.params['application']))
  const tenant = tenantFrom(String(request.params['tenant']))
  // Not through URL: a target in absolute form may be one that it refuses to parse.
  const query = new URLSearchParams(request.url.split('?')[1] ?? '')
  checkAudience(query.getAll('audience'), application)
  return { want: 'assertion', application, tenant }
}

/** The audience of what is signed is the tenant's token endpoint; the parameter can only agree. */
function checkAudience(audiences: readonly string[], application: string): void {
  const [audience, ...more] = audiences
  const agrees =
    audience === undefined || audience === entraTokenExchange || audience === application
  if (agrees && more.length === 0) return
  throw new RequestProblem(
    'request_invalid',
    `The parameter audience must be absent, ${entraTokenExchange} or the name of the application.`,
  )
}
