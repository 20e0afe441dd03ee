import { z } from 'zod'
import { parseBearerUrl } from '../base/bearer-url.ts'
import { parseJson } from '../base/parse-json.ts'
import { type CallerCredential, headersFrom } from './caller-credential.ts'
import { type RequestPlace, sendRequest } from './http-request.ts'

/** A service, and what it is shown. */
export type AskedService =
  | {
      /** Without a slash at its end, as all of them. */
      readonly url: string
      /** Under which everybody reaches it, and which a proof names. */
      readonly publicUrl: string
      readonly credential: CallerCredential
    }
  /** The socket of a service on this machine, which asks for no proof. */
  | { readonly socket: string }

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
  service: AskedService,
  path: string,
  request: ServiceRequest,
  schema: Schema,
): Promise<ServiceAnswer<z.output<Schema>>> {
  const { headers, ...parts } = partsOf(request)
  const shown = 'socket' in service ? {} : proofHeaders(service, parts.method, path)
  const { status, text } = await sendRequest(placeOf(service, path), {
    ...parts,
    headers: { ...headers, ...shown },
    timeoutMs: 30_000,
  })
  const answer = parseJson(text)
  if (status < 200 || status > 299) return refusalFrom(answer, status)
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
  service: AskedService,
  path: string,
  request: ServiceRequest,
  schema: Schema,
): Promise<z.output<Schema>> {
  const answer = await answerOfService(service, path, request, schema)
  switch (answer.is) {
    case 'answer':
      return answer.value
    case 'refusal':
      throw new Error(answer.text)
    case 'foreign':
      throw new Error(
        'socket' in service
          ? `${service.socket} answered with something else than Countersign does: check the path`
          : `${service.url}${path} answered with something else than Countersign does: check the URL`,
      )
  }
}

const proofHeaders = (
  { publicUrl, credential }: Extract<AskedService, { url: string }>,
  method: string,
  path: string,
) => headersFrom(credential, { method, publicUrl: `${publicUrl}${path}` })

export const serviceUrlName = 'the URL of the service'

function placeOf(service: AskedService, path: string): RequestPlace {
  if ('socket' in service) return { socket: service.socket, path }
  const url = parseBearerUrl(`${service.url}${path}`, serviceUrlName)
  const { credential } = service
  if (credential.kind !== 'certificate') return { url }
  if (url.protocol === 'https:') return { url, certificate: credential.certificate }
  throw new Error(`${serviceUrlName} must be https: without TLS no certificate is shown`)
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
