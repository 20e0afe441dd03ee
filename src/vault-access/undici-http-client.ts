import {
  createHttpHeaders,
  type HttpClient,
  type PipelineRequest,
  type PipelineResponse,
} from '@azure/core-rest-pipeline'
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
  const stop = stopSignal(request)
  try {
    const response = await dispatcher.request({
      origin: url.origin,
      path: url.pathname + url.search,
      method: request.method,
      headers: request.headers.toJSON({ preserveCase: true }),
      body: textBody(request),
      ...(stop === undefined ? {} : { signal: stop }),
    })
    const bodyAsText = await response.body.text()
    const headers = createHttpHeaders()
    for (const [name, value] of Object.entries(response.headers)) {
      if (value !== undefined) headers.set(name, Array.isArray(value) ? value.join(', ') : value)
    }
    return { request, status: response.statusCode, headers, bodyAsText }
  } catch (error) {
    throw new TransportError(connectionFailed(error) ? 'no' : 'unknown', error)
  }
}

function textBody(request: PipelineRequest): string | null {
  if (request.body === undefined || request.body === null) return null
  if (typeof request.body === 'string') return request.body
  throw new TypeError('the Key Vault SDKs send text only')
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
