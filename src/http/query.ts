import type { IncomingMessage } from 'node:http'
import type { z } from 'zod'
import { RequestProblem } from './request-problem.ts'

/**
 * The parameters of a request's target, each once.
 *
 * @throws RequestProblem that names the parameters there are, and never repeats what was sent.
 */
export function queryOf<Schema extends z.ZodObject>(
  { url = '' }: IncomingMessage,
  schema: Schema,
): z.output<Schema> {
  // Not through URL: a target in absolute form may be one that it refuses to parse.
  const start = url.indexOf('?')
  const query = new URLSearchParams(start === -1 ? '' : url.slice(start + 1))
  const parsed = schema.safeParse(Object.fromEntries(query))
  if (parsed.success && new Set(query.keys()).size === query.size) return parsed.data
  const names = Object.keys(schema.shape).join(' and ')
  throw new RequestProblem(
    'request_invalid',
    `The parameters are ${names}, each at most once, as openapi.yaml says.`,
  )
}
