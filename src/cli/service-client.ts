import { z } from 'zod'
import type { Secret } from '../base/secret.ts'
import { parseBearerUrl, sendBearer } from './bearer-request.ts'
import { serviceUrlName } from './request-options.ts'

const problemSchema = z.object({
  title: z.string(),
  detail: z.string(),
  attempt: z.string().optional(),
  retryAfterSeconds: z.number().optional(),
})

/** A method without a body, or what is posted as JSON. */
export type ServiceRequest = 'GET' | 'DELETE' | { readonly post: object }

/**
 * Asks a route of the service, and checks its answer.
 *
 * @throws Error with the words of the problem when the service says no, and in one sentence when it
 *   cannot be reached or is something else.
 */
export async function askService<Schema extends z.ZodType>(
  url: string,
  callerToken: Secret<string>,
  request: ServiceRequest,
  schema: Schema,
): Promise<z.output<Schema>> {
  const response = await sendBearer(parseBearerUrl(url, serviceUrlName), callerToken, {
    ...partsOf(request),
    timeoutMs: 30_000,
  })
  const answer: unknown = await response.json().catch(() => undefined)
  if (!response.ok) throw new Error(refusalFrom(answer, response.status))
  const expected = schema.safeParse(answer)
  if (expected.success) return expected.data
  throw new Error(`${url} answered with something else than Countersign does: check the URL`)
}

const partsOf = (request: ServiceRequest) =>
  typeof request === 'string'
    ? { method: request, headers: {} }
    : {
        method: 'POST' as const,
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(request.post),
      }

function refusalFrom(answer: unknown, status: number): string {
  const problem = problemSchema.safeParse(answer)
  return problem.success ? refusalText(problem.data) : `the service answered with status ${status}`
}

function refusalText({
  title,
  detail,
  attempt,
  retryAfterSeconds,
}: z.output<typeof problemSchema>) {
  const again = retryAfterSeconds === undefined ? '' : ` Again in ${retryAfterSeconds} s.`
  return `${title}. ${detail}${again}${attempt === undefined ? '' : ` (attempt ${attempt})`}`
}
