import {
  createHttpHeaders,
  type HttpClient,
  type PipelineRequest,
  type PipelineResponse,
} from '@azure/core-rest-pipeline'
import type { IncomingHttpHeaders } from 'node:http'
import type { Dispatcher } from 'undici'
import { connectionFailed } from '../base/connection-failure.ts'
import { wholeAnswer } from '../base/whole-answer.ts'

/**
 * A request that got no whole answer. `sent: 'no'` says that not one byte of it left: there was no
 * connection. Otherwise the service may have acted.
 */
export class TransportError extends Error {
  override readonly name = 'TransportError'
  readonly sent: 'no' | 'unknown'

  constructor(sent: 'no' | 'unknown', cause: unknown) {
    super(sent === 'no' ? 'no connection' : 'no answer', { cause })
    this.sent = sent
  }
}

/**
 * The transport of the Azure SDKs over one undici pool: their own opens no keep-alive pool that could
 * be bounded, and costs half as much again per call.
 *
 * @throws TransportError from `sendRequest` when no whole answer came, time-outs and aborts included.
 */
export function createUndiciHttpClient(dispatcher: Dispatcher): HttpClient {
  return { sendRequest: (request) => send(dispatcher, request) }
}

async function send(dispatcher: Dispatcher, request: PipelineRequest): Promise<PipelineResponse> {
  const url = new URL(request.url)
  const order = {
    origin: url.origin,
    path: url.pathname + url.search,
    method: request.method,
    headers: request.headers.toJSON({ preserveCase: true }),
    body: wholeBody(request),
  }
  try {
    const signal = stopSignal(request)
    const answer = await wholeAnswer(dispatcher, order, signal === undefined ? {} : { signal })
    return {
      request,
      status: answer.status,
      headers: createHttpHeaders(joined(answer.headers)),
      bodyAsText: bodyText(answer),
    }
  } catch (error) {
    throw new TransportError(connectionFailed(error) ? 'no' : 'unknown', error)
  }
}

/** Of an error the SDKs read the body without looking if there is one, and fail in a way that hides its status. */
const bodyText = ({ status, body }: { readonly status: number; readonly body: Buffer }) =>
  status >= 400 && body.length === 0 ? '{}' : body.toString('utf8')

/** Several lines of one name are one list (RFC 9110 §5.3). */
function joined(received: IncomingHttpHeaders): Record<string, string> {
  const headers: Record<string, string> = {}
  for (const [name, value] of Object.entries(received)) {
    if (value !== undefined) headers[name] = Array.isArray(value) ? value.join(', ') : value
  }
  return headers
}

/** Text, or bytes where the SDK has packed it. */
function wholeBody({ body }: PipelineRequest): string | Uint8Array | null {
  if (body === undefined || body === null) return null
  if (typeof body === 'string' || body instanceof Uint8Array) return body
  throw new TypeError('the SDKs send text and bytes only')
}

/** Ends the request when the SDK's caller aborts or the SDK's own time is up, whichever comes first. */
function stopSignal({ abortSignal, timeout }: PipelineRequest): AbortSignal | undefined {
  const aborted = abortSignal === undefined ? undefined : signalFrom(abortSignal)
  if (timeout <= 0) return aborted
  const late = AbortSignal.timeout(timeout)
  return aborted === undefined ? late : AbortSignal.any([aborted, late])
}

/** The SDKs pass on what they are given, but promise only something that looks like it. */
function signalFrom(like: NonNullable<PipelineRequest['abortSignal']>): AbortSignal {
  if (like instanceof AbortSignal) return like
  const controller = new AbortController()
  const abort = () => {
    controller.abort()
  }
  if (like.aborted) abort()
  else like.addEventListener('abort', abort)
  return controller.signal
}
