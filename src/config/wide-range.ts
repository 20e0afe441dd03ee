import { BlockList, isIPv4 } from 'node:net'

/**
 * No organisation has more than a /8 of IPv4 or a /16 of IPv6, and no proxy connects from more: the
 * private networks and what CDNs publish are all within. A range that is wider means everybody.
 */
const bitsMin = { ipv4: 8, ipv6: 16 }

/** Addresses that nobody routes: there the whole of them, fc00::/7, may be one organisation's. */
const privateIpv6 = new BlockList()
privateIpv6.addSubnet('fc00::', 7, 'ipv6')
privateIpv6.addSubnet('fe80::', 10, 'ipv6')
const privateBitsMin = 7

/** One address in each /8 of IPv4. */
const eachIpv4Block = Array.from({ length: 256 }, (_, block) => `${block}.0.0.1`)

/**
 * Whether a range admits nearly everybody.
 *
 * @param range An IP address or a CIDR range.
 */
export function isNearlyEverybody(range: string): boolean {
  const [network = '', written] = range.split('/')
  if (written === undefined) return false
  const bits = Number(written)
  if (isIPv4(network)) return bits < bitsMin.ipv4
  if (holdsMuchOfIpv4(network, bits)) return true
  const isPrivate = bits >= privateBitsMin && privateIpv6.check(network, 'ipv6')
  return bits < bitsMin.ipv6 && !isPrivate
}

/** A dual-stack socket shows IPv4 clients as `::ffff:a.b.c.d`, and a range of IPv6 can hold those. */
function holdsMuchOfIpv4(network: string, bits: number): boolean {
  const admitted = new BlockList()
  admitted.addSubnet(network, bits, 'ipv6')
  return eachIpv4Block.filter((address) => admitted.check(address, 'ipv4')).length > 1
}
