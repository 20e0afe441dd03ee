import { BlockList, isIPv4, isIPv6 } from 'node:net'
import { isLoopback } from './loopback.ts'

/**
 * Where an address leads.
 *
 * - `public`: to one host, from anywhere.
 * - `private`: to another host in each network that uses it, those behind a carrier's NAT and of benchmarks too.
 * - `loopback`: to this machine.
 * - `nowhere`: to no service that others can name: the link alone, where clouds have their metadata, groups,
 *   documentation, and what nobody has been given yet.
 */
export type AddressStanding = 'public' | 'private' | 'loopback' | 'nowhere'

type Ranges = readonly (readonly [network: string, bits: number])[]

/** @see IANA IPv4 Special-Purpose Address Registry (RFC 6890), and RFC 1112 for groups. */
const ipv4: Readonly<Record<Exclude<AddressStanding, 'public'>, Ranges>> = {
  loopback: [['127.0.0.0', 8]],
  private: [
    ['10.0.0.0', 8],
    ['100.64.0.0', 10],
    ['172.16.0.0', 12],
    ['192.0.0.0', 24],
    ['192.168.0.0', 16],
    ['198.18.0.0', 15],
  ],
  nowhere: [
    ['0.0.0.0', 8],
    // Azure's host beside each virtual machine. It is routed nowhere else, although no registry says so.
    ['168.63.129.16', 32],
    // Where Alibaba Cloud and Oracle Cloud have their metadata.
    ['100.100.100.200', 32],
    ['192.0.0.192', 32],
    ['169.254.0.0', 16],
    ['192.0.2.0', 24],
    ['198.51.100.0', 24],
    ['203.0.113.0', 24],
    ['224.0.0.0', 4],
    ['240.0.0.0', 4],
  ],
}

/** @see IANA IPv6 Special-Purpose Address Registry; what is in neither list is `nowhere` outside {@link routedIpv6}. */
const ipv6: typeof ipv4 = {
  loopback: [['::1', 128]],
  private: [
    ['64:ff9b:1::', 48],
    ['fc00::', 7],
  ],
  nowhere: [
    // Protocols, Teredo among them: hosts have none of these. 6to4 leads to whatever IPv4 address is in it.
    ['2001::', 23],
    ['2001:db8::', 32],
    // Where Amazon and Google have their metadata besides.
    ['fd00:ec2::254', 128],
    ['fd20:ce::254', 128],
    ['2002::', 16],
    ['3fff::', 20],
  ],
}

/** Ways of writing IPv4 in IPv6 that lead to that very address: mapped (RFC 4291), and through NAT64 (RFC 6052). */
const ipv4Prefixes = ['::ffff:', '64:ff9b::']

/** All that is given to anybody, and IPv4 in its guises. */
const routedIpv6 = blockListOf([
  ['2000::', 3],
  ...ipv4Prefixes.map((prefix) => [`${prefix}0.0.0.0`, 96] as const),
])

const loopback = blockListFor('loopback')
const elsewhere = { private: blockListFor('private'), nowhere: blockListFor('nowhere') }

/** Whether somebody whose name others control may be in a network of the operator's own. */
export type PrivateAddress = 'accept' | 'refuse'

/**
 * Whether a host may be asked at an address. A host that is written as this machine is nowhere else; what
 * is `nowhere` is not asked, whatever the operator accepts.
 *
 * @param host Of a URL, without brackets.
 */
export function mayBeAt(host: string, address: string, privateAddress: PrivateAddress): boolean {
  const standing = standingOf(address)
  if (isLoopback(host)) return standing === 'loopback'
  return standing === 'public' || (standing !== 'nowhere' && privateAddress === 'accept')
}

/** @param address An IP address; anything else is `nowhere`. */
export function standingOf(address: string): AddressStanding {
  // The zone says which of our own links is meant.
  const bare = address.replace(/%.*$/, '')
  if (!isIPv4(bare) && !isIPv6(bare)) return 'nowhere'
  const family = isIPv4(bare) ? 'ipv4' : 'ipv6'
  if (loopback.check(bare, family)) return 'loopback'
  if (elsewhere.nowhere.check(bare, family)) return 'nowhere'
  if (elsewhere.private.check(bare, family)) return 'private'
  return family === 'ipv4' || routedIpv6.check(bare, family) ? 'public' : 'nowhere'
}

function blockListFor(standing: keyof typeof ipv4): BlockList {
  const inIpv6 = ipv4[standing].flatMap(([network, bits]) =>
    ipv4Prefixes.map((prefix) => [`${prefix}${network}`, 96 + bits] as const),
  )
  return blockListOf([...ipv4[standing], ...inIpv6, ...ipv6[standing]])
}

function blockListOf(ranges: Ranges): BlockList {
  const list = new BlockList()
  for (const [network, bits] of ranges) {
    list.addSubnet(network, bits, isIPv4(network) ? 'ipv4' : 'ipv6')
  }
  return list
}
