import {
  createHttpHeaders,
  type HttpClient,
  type PipelineRequest,
  type PipelineResponse,
} from '@azure/core-rest-pipeline'
import type { IncomingHttpHeaders } from 'node:http'
import type { Dispatcher } from 'undici'
import { connectionFailed } from '../base/connection-failure.ts'

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
    const { status, headers, bodyAsText } = await wholeAnswer(
      dispatcher,
      order,
      stopSignal(request),
    )
    return { request, status, headers: createHttpHeaders(headers), bodyAsText }
  } catch (error) {
    throw new TransportError(connectionFailed(error) ? 'no' : 'unknown', error)
  }
}

interface WholeAnswer {
  readonly status: number
  readonly headers: Record<string, string>
  readonly bodyAsText: string
}

/** Without the stream that `dispatcher.request` makes of an answer: what is read here is read whole. */
function wholeAnswer(
  dispatcher: Dispatcher,
  order: Dispatcher.DispatchOptions,
  signal: AbortSignal | undefined,
): Promise<WholeAnswer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let status = 0
    let headers: Record<string, string> = {}
    let stop: (() => void) | undefined
    const settled = () => {
      if (stop !== undefined) signal?.removeEventListener('abort', stop)
    }
    dispatcher.dispatch(order, {
      onRequestStart: (controller) => {
        stop = () => {
          controller.abort(abortReason(signal))
        }
        if (signal?.aborted === true) stop()
        else signal?.addEventListener('abort', stop)
      },
      // Once for each informational answer (RFC 9110 §15.2) too; the last one counts.
      onResponseStart: (_controller, statusCode, received) => {
        status = statusCode
        headers = joinedHeaders(received)
      },
      onResponseData: (_controller, chunk) => {
        chunks.push(chunk)
      },
      onResponseEnd: () => {
        settled()
        resolve({ status, headers, bodyAsText: Buffer.concat(chunks).toString('utf8') })
      },
      onResponseError: (_controller, error) => {
        settled()
        reject(error)
      },
    })
  })
}

const abortReason = (signal: AbortSignal | undefined): Error =>
  signal?.reason instanceof Error ? signal.reason : new DOMException('aborted', 'AbortError')

/** Several lines of one name are one list (RFC 9110 §5.3). */
function joinedHeaders(received: IncomingHttpHeaders): Record<string, string> {
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
