import type { EmulatedReply, EmulatedRequest, EmulatedService } from '../exchange.ts'
import type { FaultWords } from '../fault-replies.ts'
import { jsonReply } from '../json-reply.ts'
import { refusedMetadata, type SourceDeps, withFaults } from './metadata-answer.ts'

export const cloudShellPath = '/oauth2/token'

/** Cloud Shell: the resource comes in a form, and no identity can be named. */
export function createCloudShell(deps: SourceDeps): EmulatedService {
  const serve = async (request: EmulatedRequest): Promise<EmulatedReply> => {
    if (request.path.replace(/\/$/, '') !== cloudShellPath)
      return refused(404, 'NotFound', 'Not found.')
    if (refusedMetadata(request) !== undefined) {
      return refused(400, 'InvalidRequest', 'Required metadata header not specified')
    }
    if (request.method !== 'POST') {
      return refused(405, 'MethodNotAllowed', 'Only POST is supported.')
    }
    const resource = new URLSearchParams(request.body.toString('utf8')).get('resource')
    if (!resource) return refused(400, 'InvalidRequest', 'The resource parameter is missing.')
    return answer(resource, deps)
  }
  return withFaults(deps.faults, faultWords, serve)
}

async function answer(
  resource: string,
  { principal, issueToken, clock }: SourceDeps,
): Promise<EmulatedReply> {
  const issued = await issueToken(principal, resource)
  if (!issued.ok) {
    const words = `Audience ${resource} is not a supported MSI token audience.`
    return refused(400, 'AudienceNotSupported', words)
  }
  const { accessToken, expiresInSeconds } = issued.value
  return jsonReply(200, {
    access_token: accessToken,
    refresh_token: '',
    expires_in: String(expiresInSeconds),
    expires_on: String(clock.nowSeconds() + expiresInSeconds),
    not_before: String(clock.nowSeconds()),
    resource,
    token_type: 'Bearer',
  })
}

const refused = (
  status: number,
  code: string,
  message: string,
  headers: Readonly<Record<string, string>> = {},
) => jsonReply(status, { error: { code, message } }, headers)

const faultWords: FaultWords = {
  throttled: () => refused(429, 'TooManyRequests', 'Too many requests.', { 'retry-after': '1' }),
  serverError: (status) => refused(status, 'InternalServerError', 'The service is unavailable.'),
}
