import type { EmulatedReply, EmulatedRequest, EmulatedService } from '../exchange.ts'
import {
  answerMetadata,
  metadataError,
  metadataFaultWords,
  refusedMetadata,
  type SourceDeps,
  withFaults,
} from './metadata-answer.ts'

export const imdsPath = '/metadata/identity/oauth2/token'

/** The first version that has tokens. */
const apiVersionMin = '2018-02-01'

/**
 * The instance metadata service of a virtual machine whose identity is the principal. The real one is at
 * `169.254.169.254`, which is no address of loopback.
 */
export function createImds(deps: SourceDeps): EmulatedService {
  const serve = async (request: EmulatedRequest): Promise<EmulatedReply> => {
    if (request.path.replace(/\/$/, '') !== imdsPath) {
      return metadataError(404, 'not_found', 'Not found.')
    }
    const refused = refusedMetadata(request)
    if (refused !== undefined) return refused
    if (request.method !== 'GET') {
      return metadataError(405, 'invalid_request', 'Only GET is supported.')
    }
    const version = request.query.get('api-version') ?? ''
    if (!/^\d{4}-\d\d-\d\d$/.test(version) || version < apiVersionMin) {
      const words =
        'Bad request. api-version is invalid or was not specified in the request. ' +
        'For more information refer to aka.ms/azureimds'
      return metadataError(400, 'invalid_request', words)
    }
    return answerMetadata(request.query, deps)
  }
  return withFaults(deps.faults, metadataFaultWords, serve)
}
