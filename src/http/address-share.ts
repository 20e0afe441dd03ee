import { isIPv4, type Socket } from 'node:net'

type Peer = Pick<Socket, 'remoteAddress' | 'remotePort'>

/** What each address has of the connections, so that none of them has all. */
export interface AddressShare {
  /** Counts a connection for as long as it is there; false: it is to be cut. */
  admit(socket: Socket): boolean
  /** Whether it is beyond the share of its address, and is only there to be told so. */
  isBeyond(peer: Peer): boolean
}

/** So many beyond an address's share are told that it is theirs; more could do the same harm. */
const toldMax = 64

/** As large as the connections that are there. */
export function createAddressShare(connectionsMax: number): AddressShare {
  const counts = new Map<string, number>()
  /** By the peer, because a request over TLS does not show the socket that was counted. */
  const beyond = new Set<string>()
  return {
    admit: (socket) => {
      const network = networkOf(socket.remoteAddress ?? '')
      const peer = peerOf(socket)
      const count = counts.get(network) ?? 0
      if (count >= connectionsMax + toldMax) return false
      counts.set(network, count + 1)
      if (count >= connectionsMax) beyond.add(peer)
      socket.once('close', () => {
        beyond.delete(peer)
        const left = (counts.get(network) ?? 0) - 1
        if (left > 0) counts.set(network, left)
        else counts.delete(network)
      })
      return true
    },
    isBeyond: (peer) => beyond.size > 0 && beyond.has(peerOf(peer)),
  }
}

const peerOf = ({ remoteAddress = '', remotePort = 0 }: Peer) => `${remoteAddress} ${remotePort}`

/**
 * An IPv4 address, also one that IPv6 carries, or the /64 that whoever has one address of IPv6 has all of.
 *
 * @param address As Node tells it: IPv6 shortened (RFC 5952).
 */
export function networkOf(address: string): string {
  const mapped = address.replace(/^::ffff:/i, '')
  if (isIPv4(mapped)) return mapped
  const [head = '', tail] = (address.split('%')[0] ?? '').split('::')
  const groups = head === '' ? [] : head.split(':')
  const after = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - groups.length - after.length)
  return [...groups, ...Array.from({ length: zeros }, () => '0'), ...after].slice(0, 4).join(':')
}
