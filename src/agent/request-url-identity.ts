import type { Dispatcher } from 'undici'
import { z } from 'zod'
import { isLoopback } from '../base/loopback.ts'
import { withDeadline } from '../base/deadline.ts'
import { Secret } from '../base/secret.ts'
import { boundedAnswer } from './bounded-answer.ts'
import { parseOwnToken, type WorkloadIdentity } from './workload-identity.ts'

/** Where a CI platform gives a job its tokens, and what the job shows to get them. */
export interface RequestUrl {
  readonly url: string
  readonly token: Secret<string>
}

const timeoutMs = 10_000

/**
 * A job of GitHub Actions, whose platform is asked for a token that is meant for the service.
 *
 * @param fetched Of `ACTIONS_ID_TOKEN_REQUEST_URL` and `ACTIONS_ID_TOKEN_REQUEST_TOKEN`.
 */
export function gitHubActionsIdentity(
  fetched: RequestUrl,
  audience: string,
  dispatcher: Dispatcher,
): WorkloadIdentity {
  const url = parseRequestUrl(fetched.url)
  url.searchParams.set('audience', audience)
  const answer = z.object({ value: z.string() })
  return {
    token: async () => {
      const body = await ask(url, 'GET', {}, fetched.token, dispatcher)
      return new Secret(parseOwnToken(answer.parse(body).value, "the platform's answer"))
    },
  }
}

/**
 * A job of Azure Pipelines, whose platform gives the token of a service connection. Its audience is not to
 * be chosen: the service must accept the shared one.
 *
 * @param fetched Of `SYSTEM_OIDCREQUESTURI` and `SYSTEM_ACCESSTOKEN`.
 */
export function azurePipelinesIdentity(
  fetched: RequestUrl,
  serviceConnection: string,
  dispatcher: Dispatcher,
): WorkloadIdentity {
  const url = parseRequestUrl(fetched.url)
  url.searchParams.set('api-version', '7.1')
  url.searchParams.set('serviceConnectionId', serviceConnection)
  const headers = { 'content-type': 'application/json', 'x-tfs-fedauthredirect': 'Suppress' }
  const answer = z.object({ oidcToken: z.string() })
  return {
    token: async () => {
      const body = await ask(url, 'POST', headers, fetched.token, dispatcher)
      return new Secret(parseOwnToken(answer.parse(body).oidcToken, "the platform's answer"))
    },
  }
}

/** @throws Error when no secret may be sent there. */
function parseRequestUrl(text: string): URL {
  const url = URL.parse(text)
  const isSafe =
    url?.protocol === 'https:' || (url?.protocol === 'http:' && isLoopback(url.hostname))
  if (url !== null && isSafe && url.username === '' && url.password === '') return url
  throw new Error("the platform's request URL must be https: the job's secret is sent there")
}

async function ask(
  url: URL,
  method: 'GET' | 'POST',
  headers: Readonly<Record<string, string>>,
  token: Secret<string>,
  dispatcher: Dispatcher,
): Promise<unknown> {
  const { status, body } = await withDeadline(timeoutMs, async (signal) =>
    boundedAnswer(
      await dispatcher.request({
        origin: url.origin,
        path: url.pathname + url.search,
        method,
        headers: {
          accept: 'application/json',
          authorization: `Bearer ${token.reveal()}`,
          ...headers,
        },
        signal,
      }),
    ),
  )
  if (status !== 200) throw new Error(`the platform's request URL answered with status ${status}`)
  return body
}
