import { wordsOf } from './agent-refusal.ts'
import {
  type AssertionOrder,
  type CountersignService,
  ServiceError,
} from './countersign-service.ts'
import type { LocalSecret } from './local-secret.ts'
import { onlyValue, retryAfter, type Shape, type ShapeAnswer, type ShapeRequest } from './shape.ts'

/** What tools ask for in the place of an audience; of the assertion it is the tenant's token endpoint. */
const entraTokenExchange = 'api://AzureADTokenExchange'

/**
 * The request URLs of GitHub Actions and of Azure Pipelines, with a token of the agent's own: each request is
 * answered with a fresh assertion, whose holder is the application until it is over.
 *
 * @param onFailure Told of what keeps a program from its assertion, with its cause.
 */
export function ciShapes(
  order: AssertionOrder,
  secret: LocalSecret,
  service: CountersignService,
  onFailure: (error: ServiceError) => void,
): readonly Shape[] {
  const assertion = async (member: string): Promise<ShapeAnswer> => {
    try {
      return { status: 200, body: { [member]: (await service.assertion(order)).value.reveal() } }
    } catch (error) {
      if (!(error instanceof ServiceError)) throw error
      onFailure(error)
      const words = wordsOf({ reason: 'service_failed', error })
      return refused(words.status, words.message, retryAfter(words.retryAfterSeconds))
    }
  }
  const isShown = ({ headers }: ShapeRequest) =>
    secret.isShown(/^Bearer (\S+)$/i.exec(headers.authorization ?? '')?.[1])
  const shape = (path: string, method: string, member: string): Shape => ({
    path,
    answer: async (request) => {
      if (!isShown(request)) return refused(401, 'The request token is missing or wrong.')
      if (request.method !== method) return refused(405, `Only ${method} is supported.`)
      if (!agrees(request.query, order)) {
        const words = `The audience must be absent, ${entraTokenExchange} or the name of the application.`
        return refused(400, words)
      }
      return assertion(member)
    },
  })
  return [shape(gitHubPath, 'GET', 'value'), shape(azurePipelinesPath, 'POST', 'oidcToken')]
}

const gitHubPath = '/ci/github'
const azurePipelinesPath = '/ci/azure-pipelines'

const agrees = (query: URLSearchParams, { application }: AssertionOrder) =>
  !query.has('audience') ||
  [entraTokenExchange, application].includes(onlyValue(query, 'audience') ?? '')

const refused = (
  status: number,
  message: string,
  headers: Readonly<Record<string, string>> = {},
): ShapeAnswer => ({ status, headers, body: { message } })

/** What programs must find in their environment. */
export const ciVariables = (origin: string, secret: LocalSecret) => ({
  // Clients put `&audience=` behind it.
  ACTIONS_ID_TOKEN_REQUEST_URL: `${origin}${gitHubPath}?api-version=2.0`,
  ACTIONS_ID_TOKEN_REQUEST_TOKEN: secret.value.reveal(),
  SYSTEM_OIDCREQUESTURI: `${origin}${azurePipelinesPath}`,
  SYSTEM_ACCESSTOKEN: secret.value.reveal(),
})
