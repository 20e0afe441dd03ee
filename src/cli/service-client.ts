import { z } from 'zod'
import type { Secret } from '../base/secret.ts'
import { parseBearerUrl, sendBearer } from './bearer-request.ts'
import { serviceUrlName } from './request-options.ts'

const problemSchema = z.object({
  title: z.string(),
  detail: z.string(),
  code: z.string().optional(),
  attempt: z.string().optional(),
  retryAfterSeconds: z.number().optional(),
})

/** A method without a body, or what is posted as JSON. */
export type ServiceRequest = 'GET' | 'DELETE' | { readonly post: object }

/** What came back from a route of the service, or from whatever stands in its place. */
export type ServiceAnswer<Value> =
  | { readonly is: 'answer'; readonly value: Value }
  /** `code` is absent when it is not the service that says no. */
  | {
      readonly is: 'refusal'
      readonly status: number
      readonly code?: string | undefined
      readonly text: string
    }
  /** It is something else than Countersign that said yes. */
  | { readonly is: 'foreign' }

/**
 * Asks a route of the service, and tells its answer from those of others.
 *
 * @throws Error in one sentence when no answer comes.
 */
export async function answerOfService<Schema extends z.ZodType>(
  url: string,
  callerToken: Secret<string>,
  request: ServiceRequest,
  schema: Schema,
): Promise<ServiceAnswer<z.output<Schema>>> {
  const response = await sendBearer(parseBearerUrl(url, serviceUrlName), callerToken, {
    ...partsOf(request),
    timeoutMs: 30_000,
  })
  const answer: unknown = await response.json().catch(() => undefined)
  if (!response.ok) return refusalFrom(answer, response.status)
  const expected = schema.safeParse(answer)
  return expected.success ? { is: 'answer', value: expected.data } : { is: 'foreign' }
}

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
  const answer = await answerOfService(url, callerToken, request, schema)
  switch (answer.is) {
    case 'answer':
      return answer.value
    case 'refusal':
      throw new Error(answer.text)
    case 'foreign':
      throw new Error(`${url} answered with something else than Countersign does: check the URL`)
  }
}

const partsOf = (request: ServiceRequest) =>
  typeof request === 'string'
    ? { method: request, headers: {} }
    : {
        method: 'POST' as const,
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(request.post),
      }

function refusalFrom(answer: unknown, status: number): ServiceAnswer<never> {
  const problem = problemSchema.safeParse(answer)
  if (!problem.success) {
    return { is: 'refusal', status, text: `the service answered with status ${status}` }
  }
  const { code } = problem.data
  return { is: 'refusal', status, code, text: refusalText(problem.data) }
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
