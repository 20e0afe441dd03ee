import type { IncomingMessage } from 'node:http'
import type { z } from 'zod'
import { parseJson } from '../base/parse-json.ts'
import { readBody } from './bounded-body.ts'
import { RequestProblem } from './request-problem.ts'

/** The largest request that has a meaning here is under 2 KiB; what is sent is parsed before it is asked by whom. */
const bodyBytesMax = 4 * 1024

/**
 * Reads a JSON body and checks it against the schema of its route.
 *
 * @throws RequestProblem for another media type, too many bytes, bytes that are no JSON, and a first
 *   member that breaks the schema.
 */
export async function readJsonBody<Schema extends z.ZodType>(
  request: IncomingMessage,
  schema: Schema,
): Promise<z.output<Schema>> {
  if (!isJson(request.headers['content-type'])) {
    throw new RequestProblem('media_type_unsupported', 'Send the body as application/json.')
  }
  const value = parseJson((await readBody(request, bodyBytesMax)).toString('utf8'))
  if (value === undefined) {
    throw new RequestProblem('request_invalid', 'The body is not valid JSON.')
  }
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  throw new RequestProblem('request_invalid', firstRuleBroken(parsed.error))
}

const isJson = (contentType: string | undefined) =>
  contentType !== undefined && /^application\/json\s*(;|$)/i.test(contentType)

/** Names members by the contract's own words: an unknown one could be anything, so it is not repeated. */
function firstRuleBroken(error: z.ZodError): string {
  const issue = error.issues[0]
  if (issue === undefined) return 'The body does not have the form that the contract gives it.'
  const member = issue.path.map(String).join('.')
  if (issue.code === 'unrecognized_keys') {
    return 'The body has a member that the contract does not know: see openapi.yaml.'
  }
  return member === ''
    ? 'The body must be a JSON object.'
    : `The member ${member} is missing or wrong: ${issue.message}.`
}
