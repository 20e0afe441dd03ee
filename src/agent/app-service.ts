import { randomUUID } from 'node:crypto'
import { isoTimeFrom } from '../base/clock.ts'
import { wordsOf } from './agent-refusal.ts'
import type { LocalSecret } from './local-secret.ts'
import type { AnswerResource, ResourceAnswer } from './resources.ts'
import { onlyValue, retryAfter, type Shape, type ShapeAnswer, type ShapeRequest } from './shape.ts'

/**
 * The endpoint of App Service, Functions and Container Apps: `IDENTITY_ENDPOINT` with `IDENTITY_HEADER`, and
 * the older `MSI_ENDPOINT` with `MSI_SECRET`. Whoever does not show the secret learns nothing.
 *
 * @see "How to use managed identities for App Service and Azure Functions", REST endpoint reference
 */
export function appService(secret: LocalSecret, answerResource: AnswerResource): Shape {
  return {
    path: '/msi/token',
    answer: async (request) => {
      const dialect = dialects.get(onlyValue(request.query, 'api-version') ?? '')
      const shown = request.headers[dialect?.header ?? 'x-identity-header']
      if (!secret.isShown(shown))
        return refused(401, 'The secret of the endpoint is missing or wrong.')
      if (request.method !== 'GET') return refused(405, 'Only GET is supported.')
      if (dialect === undefined) {
        return refused(400, `The api-version must be ${[...dialects.keys()].join(' or ')}.`)
      }
      return answer(request, dialect, answerResource)
    },
  }
}

/** What programs must find in their environment. */
export const appServiceVariables = (endpoint: string, secret: LocalSecret) => ({
  IDENTITY_ENDPOINT: endpoint,
  IDENTITY_HEADER: secret.value.reveal(),
  MSI_ENDPOINT: endpoint,
  MSI_SECRET: secret.value.reveal(),
})

interface Dialect {
  readonly header: string
  readonly clientId: string
  readonly otherIds: readonly string[]
  readonly expiresOn: (seconds: number) => string
}

/** By `api-version`. */
const dialects: ReadonlyMap<string, Dialect> = new Map([
  [
    '2019-08-01',
    {
      header: 'x-identity-header',
      clientId: 'client_id',
      otherIds: ['mi_res_id', 'msi_res_id', 'object_id', 'principal_id'],
      expiresOn: String,
    },
  ],
  [
    '2017-09-01',
    {
      header: 'secret',
      clientId: 'clientid',
      otherIds: [],
      expiresOn: dateTimeText,
    },
  ],
])

/** `10/22/2026 20:24:00 +00:00`, which is what the older version says. */
function dateTimeText(seconds: number): string {
  const [date = '', time = ''] = isoTimeFrom(seconds * 1000).split('T')
  const [year = '', month = '', day = ''] = date.split('-')
  return `${month}/${day}/${year} ${time.slice(0, 8)} +00:00`
}

async function answer(
  { query }: ShapeRequest,
  dialect: Dialect,
  answerResource: AnswerResource,
): Promise<ShapeAnswer> {
  const resource = onlyValue(query, 'resource')
  if (resource === undefined) return refused(400, 'The resource parameter is missing.')
  const outcome = await answerResource({
    resource,
    clientId: query.get(dialect.clientId) ?? undefined,
    namesOtherwise: dialect.otherIds.some((name) => query.has(name)),
  })
  return outcome.ok ? given(resource, dialect, outcome) : refusedAs(outcome)
}

function given(
  resource: string,
  { expiresOn }: Dialect,
  { token, resource: { clientId } }: Extract<ResourceAnswer, { ok: true }>,
): ShapeAnswer {
  return {
    status: 200,
    body: {
      access_token: token.value.reveal(),
      expires_on: expiresOn(token.expiresAtSeconds),
      resource,
      token_type: 'Bearer',
      ...(clientId === undefined ? {} : { client_id: clientId }),
    },
  }
}

function refusedAs({ refusal }: Extract<ResourceAnswer, { ok: false }>): ShapeAnswer {
  const { status, message, retryAfterSeconds } = wordsOf(refusal)
  return refused(status, message, retryAfter(retryAfterSeconds))
}

const refused = (
  statusCode: number,
  message: string,
  headers: Readonly<Record<string, string>> = {},
): ShapeAnswer => ({
  status: statusCode,
  headers,
  body: { statusCode, message, correlationId: randomUUID() },
})
