import { isIP, isIPv4 } from 'node:net'
import { resolve } from 'node:path'
import { z } from 'zod'
import { listOf, parsed, text, wholeNumber } from '../yaml/forms.ts'
import { isLoopback } from '../base/loopback.ts'
import type { YamlPart } from '../yaml/yaml-part.ts'
import { isNearlyEverybody } from './wide-range.ts'
import type { CallersListenConfig, ListenTransport } from './config.ts'

const pemFile = () => text('the path of a PEM file')

const addressForm = parsed('an IP address or a range such as 10.0.0.0/24', parseAddressRange)

/** Ten thousand callers at one moment, and some to spare for probes: at worst a little over 1 GiB. */
const connectionsMaxDefault = 10_240

const form = z.strictObject({
  host: text('a host name or an IP address')
    .default('127.0.0.1')
    .describe('Name or address to bind. Anything but loopback needs tls or behindProxy.'),
  port: wholeNumber(0, 65535).default(8443).describe('TCP port; 0 takes any free one.'),
  maxConnections: wholeNumber(1, 1_000_000)
    .default(connectionsMaxDefault)
    .describe('Connections at one time, up to 120 KiB of memory each; further ones are cut.'),
  maxConnectionsPerAddress: wholeNumber(1, 1_000_000)
    .optional()
    .describe(
      'Of those, from one address; IPv6 by its /64. Absent: half of them where callers end TLS here, and all behind a proxy or on loopback.',
    ),
  maxRequestsPerCaller: wholeNumber(1, 1_000_000)
    .optional()
    .describe('Requests of one caller at one time. Absent: half of maxConnections.'),
  revocationSocket: text('the path of a Unix socket')
    .optional()
    .describe(
      'A Unix socket, mode 0600: whoever may open it may stop things and let them go on, without a grant. Its folder must be closed to others. Absent: none.',
    ),
  tls: z
    .strictObject({
      certFile: pemFile().describe('Certificate chain, leaf first, relative to this file.'),
      keyFile: pemFile().describe('Private key of the certificate, relative to this file.'),
    })
    .optional()
    .describe('TLS that the service ends itself.'),
  behindProxy: z
    .strictObject({
      addresses: listOf(addressForm, 'a list of IP addresses').describe(
        'Where the proxy connects from: IP addresses or ranges. Others are refused.',
      ),
    })
    .optional()
    .describe('Plain http for a proxy that ends TLS.'),
})

export const listenForm = form
  .prefault({})
  .describe('Where callers connect. Plain http on loopback unless tls or behindProxy is given.')

export type ListenForm = z.output<typeof form>

export function checkListen(part: YamlPart): void {
  const [tls, proxy] = [part.at('tls'), part.at('behindProxy')]
  if (tls.value !== undefined && proxy.value !== undefined) {
    proxy.report(
      'transport',
      '`listen.tls` and `listen.behindProxy` exclude one another: keep the one that ends TLS.',
    )
  }
  checkAddresses(proxy.at('addresses'))
  const perAddress = part.at('maxConnectionsPerAddress')
  if (proxy.value !== undefined && perAddress.value !== undefined) {
    perAddress.report(
      'address-of-proxy',
      '`listen.maxConnectionsPerAddress` would be about the proxy, which has all connections: remove it, and let the proxy see to it.',
    )
  }
  const host = hostIn(part)
  if (host === undefined || isLoopback(host)) return
  if (tls.value !== undefined || proxy.value !== undefined) return
  part
    .at('host')
    .report(
      'plain-http',
      '`listen.host` can be reached from other machines, and plain http is for loopback: add `listen.tls` or `listen.behindProxy`.',
    )
}

/** Whoever is admitted talks to us past the proxy, without TLS. */
function checkAddresses(part: YamlPart): void {
  for (const [, item] of part.parts()) {
    const range = item.sound(addressForm)
    if (range === undefined || !isNearlyEverybody(range)) continue
    item.report(
      'admits-everybody',
      `\`${item.name}\` admits nearly everybody past the proxy, and so past TLS: name the proxy's own addresses, or a range no wider than /8 of IPv4 or /16 of IPv6.`,
    )
  }
}

/** Undefined when the file names a host that is none. */
export const hostIn = (part: YamlPart) => part.seen(form).host

/** What decides who can connect. */
export interface Reach {
  readonly host: string
  /** Something in front connects for others. */
  readonly proxied: boolean
}

/** A proxy on this machine lets strangers in, whatever address it finds us at. */
export const isForThisMachineAlone = ({ host, proxied }: Reach) => isLoopback(host) && !proxied

/** Undefined when the file names a host or a port that is none. */
export function listenSeen(part: YamlPart): (Reach & { readonly port: number }) | undefined {
  const { host, port } = part.seen(form)
  if (host === undefined || port === undefined) return undefined
  return { host, port, proxied: part.at('behindProxy').value !== undefined }
}

/** @param asked What clients are asked for where the service ends TLS itself. */
export function listenFrom(
  form: ListenForm,
  folder: string,
  asked: AskedOfClients,
): CallersListenConfig {
  const { host, port, maxConnections, maxConnectionsPerAddress, maxRequestsPerCaller } = form
  const { revocationSocket: socket } = form
  const transport = transportFrom(form, folder)
  const half = Math.ceil(maxConnections / 2)
  const perAddress = maxConnectionsPerAddress ?? (transport.kind === 'tls' ? half : undefined)
  return {
    host,
    port,
    connectionsMax: maxConnections,
    ...(perAddress === undefined ? {} : { connectionsPerAddressMax: perAddress }),
    requestsPerCallerMax: maxRequestsPerCaller ?? half,
    ...(socket === undefined ? {} : { revocationSocket: resolve(folder, socket) }),
    transport: transport.kind === 'tls' ? { ...transport, ...asked } : transport,
  }
}

export type AskedOfClients = Pick<Extract<ListenTransport, { kind: 'tls' }>, 'clientCertificates'>

function transportFrom(
  { tls, behindProxy }: Pick<ListenForm, 'tls' | 'behindProxy'>,
  folder: string,
): ListenTransport {
  if (behindProxy !== undefined) {
    return { kind: 'behind-proxy', addresses: behindProxy.addresses }
  }
  if (tls === undefined) return { kind: 'plain' }
  const [certFile, keyFile] = [resolve(folder, tls.certFile), resolve(folder, tls.keyFile)]
  return { kind: 'tls', certFile, keyFile }
}

export function parseAddressRange(written: string): string | undefined {
  const [, address = '', bits] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(written) ?? []
  if (isIP(address) === 0) return undefined
  return Number(bits ?? 0) <= (isIPv4(address) ? 32 : 128) ? written : undefined
}
