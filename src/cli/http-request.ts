import { once } from 'node:events'
import { request as requestHttp, type IncomingMessage } from 'node:http'
import { request as requestHttps } from 'node:https'
import type { ClientCertificateFiles } from './caller-credential.ts'

/** Where a request goes. */
export type RequestPlace =
  | {
      readonly url: URL
      /** Shown while the connection is made; absent: none is. */
      readonly certificate?: ClientCertificateFiles | undefined
    }
  /** A Unix socket of this machine. */
  | { readonly socket: string; readonly path: string }

export interface HttpRequest {
  readonly method: 'GET' | 'POST' | 'DELETE'
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string | undefined
  readonly timeoutMs: number
}

export interface HttpAnswer {
  readonly status: number
  readonly text: string
}

/** A list of what is out there has 2000 items at most, of a few hundred bytes each. */
const answerBytesMax = 4_000_000

/**
 * Sends a request to one place, and to no other: a redirect is not followed.
 *
 * @throws Error in one sentence that names where it was sent, without query or header, when no answer comes.
 */
export async function sendRequest(place: RequestPlace, request: HttpRequest): Promise<HttpAnswer> {
  try {
    return await answerTo(place, request)
  } catch (error) {
    throw new Error(`no answer from ${nameOf(place)} (${causeOf(error)})`, { cause: error })
  }
}

async function answerTo(place: RequestPlace, request: HttpRequest): Promise<HttpAnswer> {
  const { timeoutMs, method, headers, body } = request
  // Nothing is kept: who asks again does so in minutes, when a connection that was left open is gone.
  const options = { method, headers, agent: false, signal: AbortSignal.timeout(timeoutMs) } as const
  const outgoing =
    'socket' in place
      ? requestHttp({ ...options, socketPath: place.socket, path: place.path })
      : place.url.protocol === 'https:'
        ? requestHttps(place.url, { ...options, ...place.certificate })
        : requestHttp(place.url, options)
  try {
    outgoing.end(body)
    const [response] = (await once(outgoing, 'response')) as [IncomingMessage]
    const { statusCode: status = 0 } = response
    if (status >= 300 && status < 400) throw new Error('unexpected redirect')
    return { status, text: await textOf(response) }
  } finally {
    outgoing.on('error', () => undefined).destroy()
  }
}

async function textOf(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > answerBytesMax) throw new Error('too long')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

const nameOf = (place: RequestPlace) =>
  'socket' in place ? place.socket : `${place.url.origin}${place.url.pathname}`

function causeOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown cause'
  if (error.name === 'AbortError') return 'it took too long'
  return 'code' in error && typeof error.code === 'string' ? error.code : error.message
}
