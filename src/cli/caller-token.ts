import { readFileSync } from 'node:fs'
import {
  azurePipelinesTokenRequest,
  gitHubTokenRequest,
  type JobTokenRequest,
  type RequestUrl,
} from '../agent/job-token-request.ts'
import { parseJson } from '../base/parse-json.ts'
import { Secret } from '../base/secret.ts'
import { faultFrom } from '../base/text-file.ts'
import type { CallerEnvironment } from '../config/environment.ts'
import { azureDevOpsAudience } from '../config/shared-audience.ts'
import { authorizationWith } from './bearer-token.ts'
import { CommandError } from './command-error.ts'
import { sendRequest } from './http-request.ts'

/** What a CI platform is asked for. */
export interface AskedAudience {
  /** Of the service. */
  readonly publicUrl: string
  /** Where somebody has said so; absent: the public URL. */
  readonly audience?: string
}

/**
 * The caller's own token: from the file that is named, else from the environment, else from the CI
 * platform, which is asked for one that is meant for the service.
 *
 * @throws Error that says what to set when there is none.
 */
export async function findCallerToken(
  file: string | undefined,
  { publicUrl, audience }: AskedAudience,
  environment: CallerEnvironment,
): Promise<Secret<string>> {
  const namedFile = file ?? environment.tokenFile
  if (namedFile !== undefined) return tokenIn(namedFile)
  if (environment.token !== undefined) return environment.token
  const { githubActions, azurePipelines, serviceConnection } = environment
  if (githubActions !== undefined) {
    const request = gitHubTokenRequest(githubActions.requestUrl, audience ?? publicUrl)
    return askPlatform(request, githubActions)
  }
  if (azurePipelines !== undefined) {
    assertAudienceOfAll(audience)
    const connection = required(serviceConnection)
    const request = azurePipelinesTokenRequest(azurePipelines.requestUrl, connection)
    return askPlatform(request, azurePipelines)
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

/** Rather than a token that the service refuses for an audience that nobody asked for. */
function assertAudienceOfAll(audience: string | undefined): void {
  if (audience === undefined || audience === azureDevOpsAudience) return
  throw new CommandError(
    `--audience cannot be had in Azure Pipelines, which give tokens for ${azureDevOpsAudience} and nothing else: ` +
      'leave it out, and let the issuer say acceptSharedAudience: true',
  )
}

function required(serviceConnection: string | undefined): string {
  if (serviceConnection !== undefined) return serviceConnection
  throw new Error(
    'no caller token: set AZURESUBSCRIPTION_SERVICE_CONNECTION_ID to the id of the service connection that the job is, ' +
      'as the task AzureCLI@2 does',
  )
}

async function askPlatform(
  { url, method, headers, tokenIn: found }: JobTokenRequest,
  { requestToken }: RequestUrl,
): Promise<Secret<string>> {
  const shown = authorizationWith('Bearer', requestToken)
  const request = { method, headers: { ...headers, ...shown }, timeoutMs: 10_000 }
  const { status, text } = await sendRequest({ url }, request)
  const token = status === 200 ? found(parseJson(text)) : undefined
  if (token !== undefined) return new Secret(token)
  throw new Error(`the platform's request URL gave no token (status ${status})`)
}
