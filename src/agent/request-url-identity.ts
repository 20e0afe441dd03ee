import type { Dispatcher } from 'undici'
import { Secret } from '../base/secret.ts'
import { boundedAnswer } from './bounded-answer.ts'
import {
  azurePipelinesTokenRequest,
  gitHubTokenRequest,
  type JobTokenRequest,
  type RequestUrl,
} from './job-token-request.ts'
import { parseOwnToken, type WorkloadIdentity } from './workload-identity.ts'

const timeoutMs = 10_000

/**
 * A job of GitHub Actions, whose platform is asked for a token that is meant for the service.
 *
 * @throws Error when no secret may be sent where the platform is said to be.
 */
export function gitHubActionsIdentity(
  { requestUrl, requestToken }: RequestUrl,
  audience: string,
  dispatcher: Dispatcher,
): WorkloadIdentity {
  return identityBy(gitHubTokenRequest(requestUrl, audience), requestToken, dispatcher)
}

/**
 * A job of Azure Pipelines, whose platform gives the token of a service connection. The service must accept
 * the audience that all of them share.
 *
 * @throws Error when no secret may be sent where the platform is said to be.
 */
export function azurePipelinesIdentity(
  { requestUrl, requestToken }: RequestUrl,
  serviceConnection: string,
  dispatcher: Dispatcher,
): WorkloadIdentity {
  const request = azurePipelinesTokenRequest(requestUrl, serviceConnection)
  return identityBy(request, requestToken, dispatcher)
}

const identityBy = (
  request: JobTokenRequest,
  requestToken: Secret<string>,
  dispatcher: Dispatcher,
): WorkloadIdentity => ({
  token: async () => {
    const found = request.tokenIn(await answerTo(request, requestToken, dispatcher)) ?? ''
    return new Secret(parseOwnToken(found, "the platform's answer"))
  },
})

async function answerTo(
  { url, method, headers }: JobTokenRequest,
  requestToken: Secret<string>,
  dispatcher: Dispatcher,
): Promise<unknown> {
  const order = {
    origin: url.origin,
    path: url.pathname + url.search,
    method,
    headers: { ...headers, authorization: `Bearer ${requestToken.reveal()}` },
  } as const
  const { status, body } = await boundedAnswer(dispatcher, order, timeoutMs)
  if (status !== 200) throw new Error(`the platform's request URL answered with status ${status}`)
  return body
}
