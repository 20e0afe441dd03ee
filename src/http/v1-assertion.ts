import { z } from 'zod'
import { assertionLifetimeMaxSeconds } from '../assertion/client-assertion.ts'
import { type AssertionAsk, issueAssertion } from '../issuance/issuance.ts'
import type { IssuanceDeps } from '../issuance/issuance-deps.ts'
import { jsonAnswer } from './answer.ts'
import { applicationFrom, tenantFrom } from './ask.ts'
import { attemptRoute, type AttemptRoute } from './attempt-route.ts'
import { clientAssertionType } from './client-assertion-type.ts'
import { presentedProofsOf } from './presented-proofs.ts'
import { readJsonBody } from './json-body.ts'
import { problemFromRefusal } from './problem-from-refusal.ts'
import { problemAnswer } from './problem.ts'

/** Body of `POST /v1/assertion`; `openapi.yaml` says the same. */
export const assertionRequestSchema = z.strictObject({
  application: z.string().min(1).max(63),
  tenant: z.string().length(36),
  lifetimeSeconds: z.int().min(1).max(assertionLifetimeMaxSeconds).optional(),
})

/** `POST /v1/assertion`: a fresh client assertion, and where and how to present it (RFC 7523 §2.2). */
export function assertionRoute(inForce: () => IssuanceDeps): AttemptRoute {
  return attemptRoute(async (request, attempt, gone) => {
    const ask = assertionAskFrom(await readJsonBody(request, assertionRequestSchema))
    const proofs = presentedProofsOf(request)
    const outcome = await issueAssertion({ attempt, proofs, ask, gone }, inForce)
    if (!outcome.ok) return problemAnswer(problemFromRefusal(outcome.refusal), attempt)
    return jsonAnswer(200, {
      client_assertion: outcome.assertion.reveal(),
      client_assertion_type: clientAssertionType,
      client_id: outcome.clientId,
      token_endpoint: outcome.tokenEndpoint,
      expires_in: outcome.expiresInSeconds,
      attempt,
    })
  }, inForce())
}

function assertionAskFrom(body: z.output<typeof assertionRequestSchema>): AssertionAsk {
  return {
    want: 'assertion',
    application: applicationFrom(body.application),
    tenant: tenantFrom(body.tenant),
    ...(body.lifetimeSeconds === undefined ? {} : { lifetimeSeconds: body.lifetimeSeconds }),
  }
}
