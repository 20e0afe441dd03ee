import { CountersignError } from './countersign-error.ts'
import type { FetchedAssertion } from './kept-assertion.ts'
import { systemCodeOf } from './system-code.ts'

/** What the service is asked for, in the words of `POST /v1/assertion`. */
export interface AskedAssertion {
  readonly application: string
  readonly tenant: string
  /** Absent: what the grant says. */
  readonly lifetimeSeconds?: number | undefined
}

/** Ours are a few KiB. */
const answerBytesMax = 64 * 1024

/**
 * Asks the service once. Nothing is retried, because each request may cost a signature.
 *
 * @throws CountersignError
 */
export async function fetchAssertion(
  service: URL,
  request: AskedAssertion,
  token: string,
  signal: AbortSignal,
): Promise<FetchedAssertion> {
  const { response, text } = await post(service, request, token, signal)
  const answer = jsonIn(text)
  if (response.status !== 200) throw refusalFrom(response, answer)
  const { client_assertion: assertion, expires_in: expiresInSeconds } = answer
  const isAssertion = typeof assertion === 'string' && /^[\w.-]+$/.test(assertion)
  if (isAssertion && typeof expiresInSeconds === 'number' && expiresInSeconds > 0) {
    return { assertion, expiresInSeconds }
  }
  throw new CountersignError('SERVICE_MALFORMED')
}

async function post(service: URL, request: AskedAssertion, token: string, signal: AbortSignal) {
  try {
    const response = await fetch(new URL('/v1/assertion', service), {
      method: 'POST',
      headers: {
        accept: 'application/json',
        authorization: `Bearer ${token}`,
        'content-type': 'application/json',
      },
      body: JSON.stringify(request),
      // The token goes where it was meant to go, or nowhere.
      redirect: 'manual',
      signal,
    })
    return { response, text: await boundedText(response) }
  } catch (error) {
    if (error instanceof CountersignError) throw error
    if (signal.aborted) throw new CountersignError('SERVICE_TIMEOUT')
    throw new CountersignError('SERVICE_UNREACHABLE', { systemCode: systemCodeOf(error) })
  }
}

async function boundedText({ body }: Response): Promise<string> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of (body ?? []) as AsyncIterable<Uint8Array>) {
    bytes += chunk.length
    if (bytes > answerBytesMax) throw new CountersignError('SERVICE_MALFORMED')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

/** Without members where it is something else than an object. */
function jsonIn(text: string): Readonly<Record<string, unknown>> {
  try {
    return { ...(JSON.parse(text) as object) }
  } catch {
    return {}
  }
}

function refusalFrom(
  { status, headers }: Response,
  { code, attempt }: Readonly<Record<string, unknown>>,
): CountersignError {
  const retryAfter = headers.get('retry-after')
  const facts = {
    problem: matching(/^[a-z_]{1,64}$/, code),
    attempt: matching(/^[0-9a-f-]{36}$/, attempt),
    // Seconds alone, as the service says them: with a date the clocks would have to agree.
    retryAfterSeconds: /^\d{1,5}$/.test(retryAfter ?? '') ? Number(retryAfter) : undefined,
  }
  if (status === 429) return new CountersignError('SERVICE_THROTTLED', facts)
  // A proxy in front of the service answers for it while it is away.
  if (status >= 500) return new CountersignError('SERVICE_BUSY', facts)
  // The service never says no without a code.
  if (facts.problem === undefined) return new CountersignError('SERVICE_MALFORMED', facts)
  return new CountersignError(status === 401 ? 'SERVICE_CALLER_REFUSED' : 'SERVICE_REFUSED', facts)
}

const matching = (form: RegExp, value: unknown) =>
  typeof value === 'string' && form.test(value) ? value : undefined
