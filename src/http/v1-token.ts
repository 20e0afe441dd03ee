import { z } from 'zod'
import { parseScope } from '../base/ids.ts'
import { issueToken, type TokenAsk } from '../issuance/issuance.ts'
import type { IssuanceDeps } from '../issuance/issuance-deps.ts'
import { jsonAnswer } from './answer.ts'
import { applicationFrom, tenantFrom } from './ask.ts'
import { attemptRoute, type AttemptRoute } from './attempt-route.ts'
import { presentedProofsOf } from './presented-proofs.ts'
import { tokenClaimsFrom } from './claims.ts'
import { readJsonBody } from './json-body.ts'
import { problemFromRefusal } from './problem-from-refusal.ts'
import { problemAnswer } from './problem.ts'
import { RequestProblem } from './request-problem.ts'

/** Body of `POST /v1/token`; `openapi.yaml` says the same. */
export const tokenRequestSchema = z.strictObject({
  application: z.string().min(1).max(63),
  tenant: z.string().length(36),
  scope: z.string().min(1).max(600),
  claims: z.string().min(1).max(2000).optional(),
})

/** `POST /v1/token`: an access token for one application, tenant and scope. */
export function tokenRoute(inForce: () => IssuanceDeps): AttemptRoute {
  return attemptRoute(async (request, attempt, gone) => {
    const body = await readJsonBody(request, tokenRequestSchema)
    const ask = tokenAskFrom(body)
    const claims = tokenClaimsFrom(body.claims)
    const proofs = presentedProofsOf(request)
    const outcome = await issueToken({ attempt, proofs, ask, claims, gone }, inForce)
    if (!outcome.ok) return problemAnswer(problemFromRefusal(outcome.refusal), attempt)
    return jsonAnswer(200, {
      access_token: outcome.token.reveal(),
      token_type: 'Bearer',
      expires_in: outcome.expiresInSeconds,
      attempt,
    })
  }, inForce())
}

function tokenAskFrom(body: z.output<typeof tokenRequestSchema>): TokenAsk {
  const scope = parseScope(body.scope)
  if (scope === undefined) {
    throw new RequestProblem(
      'request_invalid',
      'The member scope must be one resource and /.default, such as https://vault.azure.net/.default.',
    )
  }
  const { application, tenant } = body
  return {
    want: 'token',
    application: applicationFrom(application),
    tenant: tenantFrom(tenant),
    scope,
  }
}
