import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http'
import { drain } from '../base/drain.ts'
import { isLoopback } from '../base/loopback.ts'
import { listenOnUnixSocket } from '../base/unix-socket.ts'
import type { Shape, ShapeAnswer } from './shape.ts'

export type ListenPlace =
  /** An address of loopback; port 0 takes any free one. */
  | { readonly host: string; readonly port: number }
  /** The path of a Unix socket, and who may open it. */
  | { readonly socket: string; readonly openTo: 'owner' | 'group' }

export interface ProgramListener {
  /** `http://127.0.0.1:41234`, with the port that was taken; `unix:` and a path. */
  readonly origin: string
  /** No new connection; resolves when what was asked has been answered, or after `deadlineMs`. */
  stop(deadlineMs: number): Promise<void>
}

/** What Azure's clients send is far smaller. */
const headerBytesMax = 16 * 1024
const bodyBytesMax = 8 * 1024
const requestTimeoutMs = 10_000
const connectionsMax = 256

/**
 * Answers programs of this machine, and no browser: a page could otherwise ask in the name of whoever looks
 * at it, under a name that its owner lets point to loopback. On a socket too, because something that passes
 * requests on from a port may be before it.
 *
 * @param onFailure Told of what is a mistake of ours.
 * @throws Error of the system when the address cannot be bound, UnixSocketError when the socket cannot.
 */
export async function listenToPrograms(
  place: ListenPlace,
  shapes: readonly Shape[],
  onFailure: (error: unknown) => void,
): Promise<ProgramListener> {
  const server = createServer(
    {
      maxHeaderSize: headerBytesMax,
      requestTimeout: requestTimeoutMs,
      headersTimeout: requestTimeoutMs,
      keepAliveTimeout: 5_000,
      connectionsCheckingInterval: 1000,
    },
    answering(shapes, onFailure),
  )
  server.maxConnections = connectionsMax
  return 'socket' in place ? onSocket(server, place) : onLoopback(server, place)
}

async function onSocket(
  server: Server,
  { socket: path, openTo }: Extract<ListenPlace, { socket: string }>,
): Promise<ProgramListener> {
  const remove = await listenOnUnixSocket(server, { path, openTo, setting: 'listen.socket' })
  return {
    origin: `unix:${path}`,
    stop: async (deadlineMs) => {
      await drain(server, deadlineMs)
      remove()
    },
  }
}

async function onLoopback(
  server: Server,
  { host, port }: Extract<ListenPlace, { host: string }>,
): Promise<ProgramListener> {
  await bound(server, host, port)
  const address = server.address()
  if (address === null || typeof address === 'string') throw new TypeError('listens on TCP only')
  const name = address.family === 'IPv6' ? `[${address.address}]` : address.address
  return {
    origin: `http://${name}:${address.port}`,
    stop: (deadlineMs) => drain(server, deadlineMs),
  }
}

function answering(shapes: readonly Shape[], onFailure: (error: unknown) => void): RequestListener {
  const byPath = new Map(shapes.map((shape) => [shape.path, shape]))
  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    write(response, await answerTo(byPath, request))
  }
  return (request, response) => {
    answer(request, response).catch((error: unknown) => {
      if (!request.errored) onFailure(error)
      write(response, refused(500, 'server_error', 'The agent failed: its log says why.'))
    })
  }
}

async function answerTo(
  byPath: ReadonlyMap<string, Shape>,
  request: IncomingMessage,
): Promise<ShapeAnswer> {
  const unwanted = unwantedWords(request)
  if (unwanted !== undefined) return refused(403, 'invalid_request', unwanted)
  const [path = '', query = ''] = (request.url ?? '').split('?')
  const shape = byPath.get(path.toLowerCase().replace(/\/$/, ''))
  if (shape === undefined) return refused(404, 'not_found', 'There is nothing at this path.')
  const body = await bodyOf(request)
  if (body === undefined) return refused(413, 'invalid_request', 'The body is too large.')
  const { method = '', headers } = request
  return shape.answer({ method, query: new URLSearchParams(query), headers, body })
}

/** Why nobody who asks like this is answered; undefined when a program of this machine may have asked. */
function unwantedWords({ headers, rawHeaders }: IncomingMessage): string | undefined {
  const names = rawHeaders.filter((_, i) => i % 2 === 0).map((name) => name.toLowerCase())
  if (names.some(isOfBrowsers)) return 'Browsers are not answered.'
  const host = URL.parse(`http://${headers.host ?? ''}`)?.hostname ?? ''
  const isOurs = names.filter((name) => name === 'host').length === 1 && isLoopback(host)
  return isOurs ? undefined : 'The Host header must name loopback.'
}

/**
 * Browsers send all of these to loopback (Fetch Metadata Request Headers, §2). The mode alone comes from the
 * `fetch` of Node, which a program may use.
 */
const isOfBrowsers = (header: string) =>
  header === 'origin' || (header.startsWith('sec-fetch-') && header !== 'sec-fetch-mode')

/** Undefined when it is too large. */
async function bodyOf(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > bodyBytesMax) return undefined
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

const refused = (status: number, error: string, description: string): ShapeAnswer => ({
  status,
  // What is left of the body is nobody's next request.
  headers: { connection: 'close' },
  body: { error, error_description: description },
})

function write(response: ServerResponse, { status, headers = {}, body }: ShapeAnswer): void {
  const text = Buffer.from(JSON.stringify(body))
  if (response.headersSent || response.destroyed) return
  response
    .writeHead(status, {
      'content-type': 'application/json; charset=utf-8',
      'content-length': text.length,
      'cache-control': 'no-store',
      ...headers,
    })
    .end(text)
}

function bound(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, () => {
      server.off('error', reject)
      resolve()
    })
  })
}
