import type { Clock } from '../base/clock.ts'
import { answerMetadata, metadataError, refusedMetadata } from './metadata-token.ts'
import type { AnswerResource } from './resources.ts'
import type { Shape } from './shape.ts'

/** The endpoint of Cloud Shell, `MSI_ENDPOINT` alone. It has no secret: whoever reaches it is given tokens. */
export function cloudShell(answerResource: AnswerResource, clock: Clock): Shape {
  return {
    path: '/oauth2/token',
    answer: async (request) => {
      const refused = refusedMetadata(request)
      if (refused !== undefined) return refused
      if (request.method !== 'POST') {
        return metadataError(405, 'invalid_request', 'Only POST is supported.')
      }
      return answerMetadata(new URLSearchParams(request.body), answerResource, clock)
    },
  }
}

/** What programs must find in their environment. */
export const cloudShellVariables = (endpoint: string) => ({ MSI_ENDPOINT: endpoint })
