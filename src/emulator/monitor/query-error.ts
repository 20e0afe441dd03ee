import { randomUUID } from 'node:crypto'
import type { EmulatedReply } from '../exchange.ts'
import { jsonReply } from '../json-reply.ts'
import type { Unconfirmed } from '../vault/unconfirmed.ts'

/** A refusal of the Logs Query API, worded as the real one does where that is known. */
export interface QueryError {
  readonly status: number
  readonly code: string
  readonly message: string
  readonly innererror?: InnerError
}

interface InnerError {
  readonly code: string
  readonly message: string
  readonly innererror?: InnerError
  readonly information?: { readonly details: string }
}

// Texts seen in reports of users: 403, and those of a name that cannot be resolved. The others are recalled, or made up
// where nobody has shown one.

export const noAuthentication: QueryError = {
  status: 401,
  code: 'AuthorizationRequiredError',
  message: 'Valid authentication was not provided',
}

export const insufficientAccess: QueryError = {
  status: 403,
  code: 'InsufficientAccessError',
  message: 'The provided credentials have insufficient access to perform the requested operation',
}

export const workspaceUnknown: QueryError = {
  status: 404,
  code: 'WorkspaceNotFoundError',
  message: 'The workspace could not be found',
}

export const pathUnknown: QueryError = {
  status: 404,
  code: 'PathNotFoundError',
  message: 'The requested path does not exist',
}

export const throttled: QueryError = {
  status: 429,
  code: 'ThrottledError',
  message: 'The request rate is too high. Retry later.',
}

export const unavailable = (status: number): QueryError => ({
  status,
  code: status === 504 ? 'GatewayTimeout' : 'InternalServerError',
  message: status === 504 ? 'The query has timed out' : 'The service is unavailable',
})

const badArgument = (innererror: InnerError): QueryError => ({
  status: 400,
  code: 'BadArgumentError',
  message: 'The request had some invalid properties',
  innererror,
})

export const bodyUnknown = (message: string): QueryError =>
  badArgument({ code: 'QueryValidationError', message })

export const syntaxError = (message: string): QueryError =>
  badArgument({
    code: 'SyntaxError',
    message: 'A recognition error occurred in the query.',
    innererror: { code: 'SYN0002', message: `Query could not be parsed: ${message}` },
  })

/** Of a table to which nothing has come, and of a column that it does not have. */
export function semanticError(message: string, where: Unconfirmed['unresolvedName']): QueryError {
  const innererror = { code: 'SEM0100', message }
  if (where === 'nested') {
    return badArgument({ code: 'SemanticError', message: 'A semantic error occurred.', innererror })
  }
  const details = JSON.stringify({ error: { code: 'Bad request', innererror } })
  return badArgument({ code: 'SyntaxError', message: 'Syntax Error', information: { details } })
}

/** Beside the rows that there are. */
export const partialError = (message: string) => ({
  code: 'PartialError',
  message: 'There were some errors when processing your query.',
  details: [
    {
      code: 'EngineError',
      message: 'Something went wrong processing your query on the server.',
      innererror: { code: '-2133196797', message, severity: 2, severityName: 'Error' },
    },
  ],
})

export const queryErrorReply = (
  { status, ...error }: QueryError,
  headers: Readonly<Record<string, string>> = {},
): EmulatedReply =>
  jsonReply(
    status,
    { error: { ...error, correlationId: randomUUID() } },
    { 'x-ms-request-id': randomUUID(), ...headers },
  )
