import { readFileSync } from 'node:fs'
import { z } from 'zod'
import { Secret } from '../base/secret.ts'
import { faultFrom } from '../base/text-file.ts'
import type { CallerEnvironment } from '../config/environment.ts'
import { authorizationWith, parseBearerUrl } from './bearer-token.ts'
import { CommandError } from './command-error.ts'
import { jsonIn, sendRequest } from './http-request.ts'

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
  throw new Error(
    'no caller token: give --token-file FILE, set COUNTERSIGN_TOKEN_FILE or COUNTERSIGN_TOKEN, or run in a ' +
      'GitHub Actions job with "permissions: id-token: write"',
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

const requestUrlAnswer = z.object({ value: z.string().min(1) })

/** GitHub's request URL answers with a token for the audience that is asked for. */
async function askGitHub(
  { requestUrl, requestToken }: NonNullable<CallerEnvironment['githubActions']>,
  audience: string,
): Promise<Secret<string>> {
  const url = parseBearerUrl(requestUrl, 'ACTIONS_ID_TOKEN_REQUEST_URL')
  url.searchParams.set('audience', audience)
  const { status, text } = await sendRequest(
    { url },
    {
      method: 'GET',
      headers: { accept: 'application/json', ...authorizationWith('Bearer', requestToken) },
      timeoutMs: 10_000,
    },
  )
  const answer = requestUrlAnswer.safeParse(jsonIn(text))
  if (status !== 200 || !answer.success) {
    throw new Error(`the platform's request URL gave no token (status ${status})`)
  }
  return new Secret(answer.data.value)
}
