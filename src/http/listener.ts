import { constants } from 'node:crypto'
import { readFileSync } from 'node:fs'
import {
  createServer as createHttpServer,
  type RequestListener,
  type Server,
  type ServerOptions,
} from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import { BlockList, isIPv6, type Socket } from 'node:net'
import { createSecureContext } from 'node:tls'
import { drain } from '../base/drain.ts'
import { createAddressShare } from './address-share.ts'
import { writeAnswer } from './answer.ts'
import { problemAnswer, tooManyConnections } from './problem.ts'

/** Where and how callers reach the service. */
export interface ListenerSettings {
  readonly host: string
  readonly port: number
  /** Connections at one time; further ones are cut. */
  readonly connectionsMax: number
  /** Of one address, IPv6 by its /64; the first ones beyond are answered 429, further ones cut. Absent: all. */
  readonly connectionsPerAddressMax?: number
  readonly transport:
    | { readonly kind: 'plain' }
    | TlsTransport
    /** IP addresses or CIDR ranges; connections from elsewhere are cut. */
    | { readonly kind: 'behind-proxy'; readonly addresses: readonly string[] }
}

export interface TlsTransport {
  readonly kind: 'tls'
  readonly certFile: string
  readonly keyFile: string
  /** Whoever proves callers judges them; absent: none is asked for. */
  readonly clientCertificates?: 'asked-for'
}

export interface Listener {
  /** `https://host:port`, with the port that was taken; `unix:` and a path. */
  readonly origin: string
  /** No new connection; resolves when what was asked has been answered, or after `deadlineMs`. */
  drain(deadlineMs: number): Promise<void>
}

/** On a port of its own. */
export interface PortListener extends Listener {
  /**
   * Shows another certificate to whoever connects from now on; connections that are there keep theirs.
   *
   * @throws TypeError where this listener ends no TLS.
   */
  readonly show: (certificate: OwnCertificate) => void
}

/** The service's own certificate with its key, PEM. */
export interface OwnCertificate {
  readonly cert: string
  readonly key: string
}

/**
 * @returns What a listener can show.
 * @throws Error of the system when a file cannot be read, or of OpenSSL when the two are not fit for TLS.
 */
export function readOwnCertificate({
  certFile,
  keyFile,
}: Pick<TlsTransport, 'certFile' | 'keyFile'>): OwnCertificate {
  const certificate = {
    cert: readFileSync(certFile, 'utf8'),
    key: readFileSync(keyFile, 'utf8'),
  }
  createSecureContext({ ...tlsVersions, ...certificate })
  return certificate
}

const tlsVersions = { minVersion: 'TLSv1.2' } as const

/** Caller tokens of up to 16 KiB travel in a header, beside others. */
const headerBytesMax = 32 * 1024
/** A client that takes longer to say what it wants is cut off. */
const requestTimeoutMs = 15_000

/** Of every listener. */
export const serverOptions = {
  maxHeaderSize: headerBytesMax,
  requestTimeout: requestTimeoutMs,
  headersTimeout: requestTimeoutMs,
  keepAliveTimeout: 65_000,
  // How often Node looks for those that are over time; half a minute unless said.
  connectionsCheckingInterval: 1000,
} as const

/**
 * Ours: a connection carries what it has asked for all at once, if its client does not wait for answers,
 * and a client that stays for ever never meets a replica that was added. A new connection in a thousand
 * requests costs nobody anything.
 */
const requestsPerConnectionMax = 1000

/**
 * A crowd that comes at once waits in the kernel until the loop has time for it. Who finds that queue full is
 * not told: its handshake is tried again after 1, 3, 7 and 15 s. Linux keeps 4,096 at most itself
 * (`net.core.somaxconn`); Node would have it keep 511.
 */
const connectionsWaitingMax = 4096

/**
 * Every client may show a certificate and none must. No names of CAs are sent: clients that choose by them
 * keep to themselves what somebody else's CA has signed, and tokens may be bound to such a certificate.
 * TLS proves that the client holds the key, and leaves to others whose certificate it is: with the CAs of
 * several issuers in one context it could only say that some of them signed.
 *
 * A handshake is whole and happens once: a resumed session has forgotten what led to the CA, and a
 * connection that negotiates again could change its certificate.
 */
const askingForCertificates = {
  requestCert: true,
  rejectUnauthorized: false,
  ca: [],
  secureOptions: constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION,
}

/** The setting that a connection was cut by. */
export type CutBy = 'maxConnections' | 'maxConnectionsPerAddress'

/**
 * @param onCut Told of each connection that is one too many.
 * @throws Error of the system when the address cannot be bound or a TLS file cannot be read.
 */
export async function listen(
  answer: RequestListener,
  settings: ListenerSettings,
  onCut: (by: CutBy) => void = () => undefined,
): Promise<PortListener> {
  const { transport } = settings
  const share = createAddressShare(settings.connectionsPerAddressMax ?? Infinity)
  const answerShared: RequestListener = (request, response) => {
    if (share.isBeyond(request.socket)) {
      writeAnswer(response, problemAnswer(tooManyConnections), { connection: 'close' })
    } else answer(request, response)
  }
  const tls =
    transport.kind === 'tls' ? tlsServerFor(transport, serverOptions, answerShared) : undefined
  const server: Server = tls?.server ?? createHttpServer(serverOptions, answerShared)
  server.maxRequestsPerSocket = requestsPerConnectionMax
  server.on('connection', (socket: Socket) => {
    if (share.admit(socket)) return
    socket.destroy()
    onCut('maxConnectionsPerAddress')
  })
  server.maxConnections = settings.connectionsMax
  server.on('drop', () => {
    onCut('maxConnections')
  })
  if (transport.kind === 'behind-proxy') admitOnly(server, transport.addresses)
  await bound(server, settings.host, settings.port)
  const scheme = transport.kind === 'tls' ? 'https' : 'http'
  return {
    origin: `${scheme}://${authorityOf(server)}`,
    show: (certificate) => {
      if (tls === undefined) throw new TypeError('only who ends TLS has a certificate to show')
      tls.show(certificate)
    },
    drain: (ms) => drain(server, ms),
  }
}

function tlsServerFor(transport: TlsTransport, options: ServerOptions, answer: RequestListener) {
  const asking = transport.clientCertificates === undefined ? {} : askingForCertificates
  const context = { ...tlsVersions, ...asking }
  const server = createHttpsServer(
    {
      ...options,
      ...context,
      ...readOwnCertificate(transport),
      handshakeTimeout: requestTimeoutMs,
    },
    answer,
  )
  return {
    server,
    show: (certificate: OwnCertificate) => {
      server.setSecureContext({ ...context, ...certificate })
    },
  }
}

function bound(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ port, host, backlog: connectionsWaitingMax }, () => {
      server.off('error', reject)
      resolve()
    })
  })
}

function authorityOf(server: Server): string {
  const address = server.address()
  if (address === null || typeof address === 'string') throw new TypeError('listens on TCP only')
  const host = isIPv6(address.address) ? `[${address.address}]` : address.address
  return `${host}:${address.port}`
}

/** Whoever reaches the plain port past the proxy would be past TLS too. */
function admitOnly(server: Server, addresses: readonly string[]): void {
  const admitted = new BlockList()
  for (const address of addresses) {
    const [network = '', bits] = address.split('/')
    const family = isIPv6(network) ? 'ipv6' : 'ipv4'
    if (bits === undefined) admitted.addAddress(network, family)
    else admitted.addSubnet(network, Number(bits), family)
  }
  server.on('connection', (socket: Socket) => {
    const { remoteAddress = '' } = socket
    if (!admitted.check(remoteAddress, isIPv6(remoteAddress) ? 'ipv6' : 'ipv4')) socket.destroy()
  })
}
