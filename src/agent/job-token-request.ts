import { z } from 'zod'
import { parseBearerUrl } from '../base/bearer-url.ts'
import type { Secret } from '../base/secret.ts'

/** Where a CI platform gives a job its tokens, and what the job shows to get them. */
export interface RequestUrl {
  readonly requestUrl: string
  readonly requestToken: Secret<string>
}

/** How a job asks its platform for a token of its own; whoever sends it adds {@link RequestUrl.requestToken}. */
export interface JobTokenRequest {
  readonly url: URL
  readonly method: 'GET' | 'POST'
  /** All but `Authorization`. */
  readonly headers: Readonly<Record<string, string>>
  /** The token in the parsed body of an answer with status 200; undefined when there is none. */
  readonly tokenIn: (body: unknown) => string | undefined
}

/**
 * GitHub Actions gives a token for any audience that is asked for.
 *
 * @param requestUrl `ACTIONS_ID_TOKEN_REQUEST_URL`.
 * @throws Error when no secret may be sent there.
 * @see `@actions/core`, OidcClient
 */
export function gitHubTokenRequest(requestUrl: string, audience: string): JobTokenRequest {
  const url = parseBearerUrl(requestUrl, 'ACTIONS_ID_TOKEN_REQUEST_URL')
  url.searchParams.set('audience', audience)
  const answer = z.object({ value: z.string().min(1) })
  return {
    url,
    method: 'GET',
    headers: { accept: 'application/json' },
    tokenIn: (body) => answer.safeParse(body).data?.value,
  }
}

/**
 * Azure Pipelines give the token of a service connection, for the one audience that all of them have.
 *
 * @param requestUrl `SYSTEM_OIDCREQUESTURI`.
 * @throws Error when no secret may be sent there.
 * @see `AzurePipelinesCredential` of `@azure/identity`
 */
export function azurePipelinesTokenRequest(
  requestUrl: string,
  serviceConnection: string,
): JobTokenRequest {
  const url = parseBearerUrl(requestUrl, 'SYSTEM_OIDCREQUESTURI')
  url.searchParams.set('api-version', '7.1')
  url.searchParams.set('serviceConnectionId', serviceConnection)
  const answer = z.object({ oidcToken: z.string().min(1) })
  return {
    url,
    method: 'POST',
    headers: {
      accept: 'application/json',
      'content-type': 'application/json',
      // Without it what is refused is sent on to a page for people.
      'x-tfs-fedauthredirect': 'Suppress',
    },
    tokenIn: (body) => answer.safeParse(body).data?.oidcToken,
  }
}
