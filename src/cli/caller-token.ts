import { readFileSync } from 'node:fs'
import { z } from 'zod'
import { Secret } from '../base/secret.ts'
import { faultFrom } from '../base/text-file.ts'
import type { CallerEnvironment } from '../config/environment.ts'
import { authorizationWith, parseBearerUrl } from './bearer-token.ts'
import { CommandError } from './command-error.ts'
import { type HttpRequest, jsonIn, sendRequest } from './http-request.ts'

/**
 * The caller's own token: from the file that is named, else from the environment, else from the CI
 * platform, which is asked for one that is meant for the service.
 *
 * @throws Error that says what to set when there is none.
 */
export async function findCallerToken(
  file: string | undefined,
  audience: string,
  environment: CallerEnvironment,
): Promise<Secret<string>> {
  const namedFile = file ?? environment.tokenFile
  if (namedFile !== undefined) return tokenIn(namedFile)
  if (environment.token !== undefined) return environment.token
  if (environment.githubActions !== undefined) {
    return askGitHub(environment.githubActions, audience)
  }
  if (environment.azurePipelines !== undefined) {
    return askAzurePipelines(environment.azurePipelines, environment.serviceConnection)
  }
  throw new Error(
    'no caller token: give --token-file FILE, set COUNTERSIGN_TOKEN_FILE or COUNTERSIGN_TOKEN (id_tokens of ' +
      'GitLab), or run in a GitHub Actions job with "permissions: id-token: write", or in a step of Azure ' +
      'Pipelines that maps "SYSTEM_ACCESSTOKEN: $(System.AccessToken)"',
  )
}

/** Says nothing of the path: somebody may have put the token there. It may be a pipe, as a shell has it. */
function tokenIn(file: string): Secret<string> {
  try {
    return new Secret(readFileSync(file, 'utf8').trim())
  } catch (error) {
    const fault = faultFrom(error)
    throw new CommandError(`--token-file or COUNTERSIGN_TOKEN_FILE cannot be read. ${fault}`)
  }
}

/** GitHub's request URL answers with a token for the audience that is asked for. */
function askGitHub(
  { requestUrl, requestToken }: CiPlatform,
  audience: string,
): Promise<Secret<string>> {
  const url = parseBearerUrl(requestUrl, 'ACTIONS_ID_TOKEN_REQUEST_URL')
  url.searchParams.set('audience', audience)
  const answer = z.object({ value: z.string().min(1) }).transform(({ value }) => value)
  return askPlatform(url, { method: 'GET', headers: {} }, requestToken, answer)
}

/** That of Azure Pipelines answers with the token of a service connection, for the audience that all have. */
async function askAzurePipelines(
  { requestUrl, requestToken }: CiPlatform,
  serviceConnection: string | undefined,
): Promise<Secret<string>> {
  if (serviceConnection === undefined) {
    throw new Error(
      'no caller token: set AZURESUBSCRIPTION_SERVICE_CONNECTION_ID to the id of the service connection that the job is, ' +
        'as the task AzureCLI@2 does',
    )
  }
  const url = parseBearerUrl(requestUrl, 'SYSTEM_OIDCREQUESTURI')
  url.searchParams.set('api-version', '7.1')
  url.searchParams.set('serviceConnectionId', serviceConnection)
  const headers = { 'content-type': 'application/json', 'x-tfs-fedauthredirect': 'Suppress' }
  const answer = z.object({ oidcToken: z.string().min(1) }).transform((body) => body.oidcToken)
  return askPlatform(url, { method: 'POST', headers }, requestToken, answer)
}

type CiPlatform = NonNullable<CallerEnvironment['githubActions']>

async function askPlatform(
  url: URL,
  { method, headers }: Pick<HttpRequest, 'method' | 'headers'>,
  requestToken: Secret<string>,
  answer: z.ZodType<string>,
): Promise<Secret<string>> {
  const shown = { accept: 'application/json', ...authorizationWith('Bearer', requestToken) }
  const request = { method, headers: { ...headers, ...shown }, timeoutMs: 10_000 }
  const { status, text } = await sendRequest({ url }, request)
  const token = answer.safeParse(jsonIn(text))
  if (status === 200 && token.success) return new Secret(token.data)
  throw new Error(`the platform's request URL gave no token (status ${status})`)
}
