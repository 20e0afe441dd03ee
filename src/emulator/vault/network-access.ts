import { BlockList, isIPv4 } from 'node:net'

/** From where a vault may be reached; from anywhere until it is told otherwise. */
export type NetworkRule = 'everybody' | 'private-link' | readonly string[]

export interface NetworkAccess {
  /** Undefined when the address is let in. */
  refusalOf(remoteAddress: string): 'ForbiddenByFirewall' | 'ForbiddenByConnection' | undefined
  /**
   * @param rule Addresses and networks in CIDR notation are the only ones that are let in; nobody here comes by a
   *   private link.
   * @throws Error when one is neither.
   */
  admit(rule: NetworkRule): void
}

export function createNetworkAccess(): NetworkAccess {
  let rule: 'everybody' | 'private-link' | BlockList = 'everybody'
  return {
    refusalOf: (remoteAddress) => {
      if (rule === 'everybody') return undefined
      if (rule === 'private-link') return 'ForbiddenByConnection'
      return rule.check(remoteAddress, familyOf(remoteAddress)) ? undefined : 'ForbiddenByFirewall'
    },
    admit: (next) => {
      rule = typeof next === 'string' ? next : networksFrom(next)
    },
  }
}

function networksFrom(texts: readonly string[]): BlockList {
  const networks = new BlockList()
  for (const text of texts) {
    const [address = '', bits] = text.split('/')
    if (bits === undefined) networks.addAddress(address, familyOf(address))
    else networks.addSubnet(address, Number(bits), familyOf(address))
  }
  return networks
}

const familyOf = (address: string) => (isIPv4(address) ? 'ipv4' : 'ipv6')
