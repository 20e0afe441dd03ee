import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { Server } from 'node:net'
import { TLSSocket } from 'node:tls'
import { setTimeout as delay } from 'node:timers/promises'
import type { ServerCertificate } from './certificate-authority.ts'
import type { EmulatedReply, EmulatedRequest, EmulatedService } from './exchange.ts'

/** A port of its own for one service. */
export interface Listener {
  /** `https://127.0.0.1:41234`, without a slash at the end. */
  readonly origin: string
  readonly port: number
  /**
   * Hands every request from now on to the service. Apart from listening, because many services have to
   * be told where they are reached before they can be made; requests that come earlier are answered 503.
   */
  serve(service: EmulatedService): void
  /** Refuses connections, and ends those that are open, until it comes back on the same port. */
  leave(): Promise<void>
  comeBack(): Promise<void>
  /** Destroys every open connection, delayed answers included; resolves when the port is free. */
  close(): Promise<void>
}

export interface ListenOptions {
  /** A loopback address; anything else is refused: the emulator must not be reachable from elsewhere. */
  readonly host?: string
  /** 0 lets the system choose. */
  readonly port?: number
  /** Past it the answer is 413 and the connection ends. Absent: more than most services are ever sent. */
  readonly bodyBytesMax?: number
}

const bodyBytesUsually = 256 * 1024

/** Clients keep connections for about a minute; closing earlier would look like a fault to them. */
const keepAliveTimeoutMs = 75_000

export async function listenHttps({
  tls,
  ...options
}: ListenOptions & { readonly tls: ServerCertificate }): Promise<Listener> {
  const server = createTlsServer({
    key: tls.keyPem,
    cert: tls.certificatePem,
    minVersion: 'TLSv1.2',
    keepAliveTimeout: keepAliveTimeoutMs,
  })
  return listen('https', server, options)
}

export async function listenHttp(options: ListenOptions = {}): Promise<Listener> {
  return listen('http', createServer({ keepAliveTimeout: keepAliveTimeoutMs }), options)
}

const notYetServed: EmulatedService = () =>
  Promise.resolve({ kind: 'answer', status: 503, headers: {}, body: Buffer.alloc(0) })

async function listen(
  scheme: 'http' | 'https',
  server: Server & { closeAllConnections(): void },
  { host = '127.0.0.1', port: wantedPort = 0, bodyBytesMax = bodyBytesUsually }: ListenOptions,
): Promise<Listener> {
  if (!isLoopback(host)) throw new RangeError(`${host} is not a loopback address`)
  const closing = new AbortController()
  let service = notYetServed
  server.on('request', (incoming: IncomingMessage, outgoing: ServerResponse) => {
    serve(service, incoming, outgoing, bodyBytesMax, closing.signal).catch(() => {
      // The client left half-way, or the listener is closing: there is nobody to tell.
      outgoing.destroy()
    })
  })
  server.listen(wantedPort, host)
  await once(server, 'listening')
  const port = portOf(server)
  return {
    origin: `${scheme}://${host.includes(':') ? `[${host}]` : host}:${port}`,
    port,
    serve: (next) => {
      service = next
    },
    leave: () => stopListening(server),
    comeBack: async () => {
      if (server.listening) return
      server.listen(port, host)
      await once(server, 'listening')
    },
    close: async () => {
      closing.abort()
      await stopListening(server)
    },
  }
}

async function stopListening(server: Server & { closeAllConnections(): void }): Promise<void> {
  if (!server.listening) return
  const closed = once(server, 'close')
  server.close()
  server.closeAllConnections()
  await closed
}

const isLoopback = (host: string) => host === '::1' || /^127(\.\d{1,3}){3}$/.test(host)

function portOf(server: Server): number {
  const address = server.address()
  if (address === null || typeof address === 'string') {
    throw new TypeError('the server does not listen on a port')
  }
  return address.port
}

async function serve(
  service: EmulatedService,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  bodyBytesMax: number,
  closing: AbortSignal,
): Promise<void> {
  const body = await readBody(incoming, bodyBytesMax)
  if (body === 'too-large') {
    outgoing.writeHead(413, { connection: 'close' }).end()
    return
  }
  await write(await replyOf(service, requestFrom(incoming, body)), outgoing, closing)
}

/** A mistake of the emulator's own is answered and said aloud: it must not pass for an ordered fault. */
async function replyOf(service: EmulatedService, request: EmulatedRequest): Promise<EmulatedReply> {
  try {
    return await service(request)
  } catch (error) {
    const cause = error instanceof Error ? (error.stack ?? error.message) : String(error)
    const message = `the emulator failed at ${request.method} ${request.path}: ${cause}`
    process.emitWarning(message, 'EmulatorWarning')
    return {
      kind: 'answer',
      status: 500,
      headers: { 'content-type': 'text/plain; charset=utf-8' },
      body: Buffer.from(`${message}\n`),
    }
  }
}

async function readBody(
  incoming: IncomingMessage,
  bodyBytesMax: number,
): Promise<Buffer | 'too-large'> {
  const chunks: Buffer[] = []
  let bytes = 0
  // The socket must outlive an early return, or the 413 could not be written.
  const stream = incoming.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>
  for await (const chunk of stream) {
    bytes += chunk.length
    if (bytes > bodyBytesMax) return 'too-large'
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

function requestFrom(incoming: IncomingMessage, body: Buffer): EmulatedRequest {
  const target = incoming.url ?? '/'
  const [path = '/', ...query] = target.split('?')
  return {
    method: incoming.method ?? 'GET',
    target,
    path,
    query: new URLSearchParams(query.join('?')),
    headers: incoming.headers,
    body,
    remoteAddress: incoming.socket.remoteAddress ?? '',
    tlsVersion:
      incoming.socket instanceof TLSSocket
        ? (incoming.socket.getProtocol() ?? undefined)
        : undefined,
  }
}

async function write(
  reply: EmulatedReply,
  outgoing: ServerResponse,
  closing: AbortSignal,
): Promise<void> {
  await heldBack(reply, closing)
  if (reply.kind === 'drop') {
    outgoing.destroy()
    return
  }
  outgoing
    .writeHead(reply.status, { ...reply.headers, 'content-length': reply.body.length })
    .end(reply.body)
}

/** @throws when the listener closes meanwhile. */
async function heldBack(
  { delayMs = 0, undelayed }: EmulatedReply,
  closing: AbortSignal,
): Promise<void> {
  if (delayMs === 0) return
  const ends = undelayed === undefined ? [closing] : [closing, undelayed]
  try {
    await delay(delayMs, undefined, { signal: AbortSignal.any(ends) })
  } catch (error) {
    if (closing.aborted) throw error
  }
}
