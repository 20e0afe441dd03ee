import type { Clock } from '../base/clock.ts'
import { answerMetadata, metadataError, refusedMetadata } from './metadata-token.ts'
import type { AnswerResource } from './resources.ts'
import { onlyValue, type Shape } from './shape.ts'

/** The first version that has tokens. */
const apiVersionMin = '2018-02-01'

const path = '/metadata/identity/oauth2/token'

/**
 * The instance metadata service of a virtual machine. It has no secret: whoever reaches it is given tokens.
 *
 * @see "How to use managed identities for Azure resources on an Azure VM to acquire an access token"
 */
export function imds(answerResource: AnswerResource, clock: Clock): Shape {
  return {
    path,
    answer: async (request) => {
      const refused = refusedMetadata(request)
      if (refused !== undefined) return refused
      if (request.method !== 'GET')
        return metadataError(405, 'invalid_request', 'Only GET is supported.')
      const version = onlyValue(request.query, 'api-version') ?? ''
      if (!/^\d{4}-\d\d-\d\d$/.test(version) || version < apiVersionMin) {
        const words = `The api-version must be ${apiVersionMin} or later.`
        return metadataError(400, 'invalid_request', words)
      }
      return answerMetadata(request.query, answerResource, clock)
    },
  }
}

/** What programs must find in their environment: SDKs the first, Terraform the others. */
export const imdsVariables = (origin: string) => ({
  AZURE_POD_IDENTITY_AUTHORITY_HOST: origin,
  ARM_USE_MSI: 'true',
  ARM_MSI_ENDPOINT: origin + path,
})
