import { z } from 'zod'
import type { Secret } from '../base/secret.ts'

const problemSchema = z.object({
  title: z.string(),
  detail: z.string(),
  attempt: z.string().optional(),
  retryAfterSeconds: z.number().optional(),
})

/**
 * Asks a route of the service, and checks its answer.
 *
 * @throws Error with the words of the problem when the service says no.
 */
export async function askService<Schema extends z.ZodType>(
  url: string,
  callerToken: Secret<string>,
  body: object,
  schema: Schema,
): Promise<z.output<Schema>> {
  const response = await fetch(url, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      authorization: `Bearer ${callerToken.reveal()}`,
    },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(30_000),
    redirect: 'error',
  })
  const answer: unknown = await response.json().catch(() => undefined)
  if (response.ok) return schema.parse(answer)
  const problem = problemSchema.safeParse(answer)
  throw new Error(
    problem.success
      ? refusalText(problem.data)
      : `the service answered with status ${response.status}`,
  )
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
