import type { Clock } from '../base/clock.ts'
import { answerMetadata, metadataError, refusedMetadata } from './metadata-token.ts'
import type { AnswerResource } from './resources.ts'
import type { Shape } from './shape.ts'

/** How the resource is asked for: in a form, as Cloud Shell has it, or in the query. */
export type Oauth2Method = 'POST' | 'GET'

/**
 * The endpoint of Cloud Shell, `MSI_ENDPOINT` alone, and the one of the virtual machine extension that was
 * retired, which is at this path too. It has no secret: whoever reaches it is given tokens.
 */
export function oauth2Token(
  methods: readonly Oauth2Method[],
  answerResource: AnswerResource,
  clock: Clock,
): Shape {
  return {
    path: '/oauth2/token',
    answer: async (request) => {
      const refused = refusedMetadata(request)
      if (refused !== undefined) return refused
      const method = methods.find((one) => one === request.method)
      if (method === undefined) {
        const words = `Only ${methods.join(' and ')} is supported.`
        return metadataError(405, 'invalid_request', words)
      }
      const parameters = method === 'POST' ? new URLSearchParams(request.body) : request.query
      return answerMetadata(parameters, answerResource, clock)
    },
  }
}

/** What programs must find in their environment. */
export const cloudShellVariables = (endpoint: string) => ({ MSI_ENDPOINT: endpoint })
