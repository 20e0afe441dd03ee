import { BlockList, isIP } from 'node:net'
import { keyNameText } from './key-name.ts'
import type { KeyName } from './key-name.ts'

/** What is taken for us, and for uses of our keys that were agreed. Nothing of it: anybody may be us. */
export interface Expect {
  /** Object ids of the service's own identities. */
  readonly principals: readonly string[]
  /** Networks that they come from, such as `203.0.113.0/24`, or single addresses. */
  readonly addresses: readonly string[]
  /** Who else may sign with a key, and which; without a key, all of them. Covers neither exports nor changes. */
  readonly also: readonly AgreedUse[]
}

export interface AgreedUse {
  /** Object id. */
  readonly principal: string
  readonly key?: KeyName
}

export interface Expectations {
  /** Undefined when nobody said who we are. */
  isOurPrincipal(oid: string | undefined): boolean | undefined
  /** Undefined when nobody said where we are. */
  isOurAddress(address: string | undefined): boolean | undefined
  isAgreed(oid: string | undefined, key: KeyName): boolean
}

export const nothingExpected: Expect = { principals: [], addresses: [], also: [] }

/** @throws RangeError for an address that is none: a mistake of whoever let it through. */
export function expectationsFrom({ principals, addresses, also }: Expect): Expectations {
  const ours = new Set(principals.map((oid) => oid.toLowerCase()))
  const networks = new BlockList()
  for (const address of addresses) addNetwork(networks, address)
  const agreed = also.map(({ principal, key }) => ({
    principal: principal.toLowerCase(),
    key: key === undefined ? undefined : keyNameText(key),
  }))
  return {
    isOurPrincipal: (oid) => (ours.size === 0 ? undefined : oid !== undefined && ours.has(oid)),
    isOurAddress: (address) => {
      if (addresses.length === 0) return undefined
      const family = isIP(address ?? '')
      return family !== 0 && networks.check(address ?? '', family === 4 ? 'ipv4' : 'ipv6')
    },
    isAgreed: (oid, key) =>
      agreed.some(
        (use) => use.principal === oid && (use.key === undefined || use.key === keyNameText(key)),
      ),
  }
}

/** Whether it is an address, or a network with the length of its prefix. */
export function isNetwork(text: string): boolean {
  const [address = '', prefix, ...rest] = text.split('/')
  const family = isIP(address)
  if (family === 0 || rest.length > 0) return false
  return prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) <= bits(family))
}

const bits = (family: number): number => (family === 4 ? 32 : 128)

function addNetwork(networks: BlockList, text: string): void {
  if (!isNetwork(text)) throw new RangeError(`${text} is neither an address nor a network`)
  const [address = '', prefix] = text.split('/')
  const family = isIP(address)
  networks.addSubnet(address, Number(prefix ?? bits(family)), family === 4 ? 'ipv4' : 'ipv6')
}
