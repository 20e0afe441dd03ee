import { lookup as lookUp, type LookupAddress } from 'node:dns'
import { isIP, type LookupFunction } from 'node:net'
import { buildConnector } from 'undici'
import { mayBeAt, type PrivateAddress } from '../base/address-standing.ts'

/** A host is not asked because of where it is. */
export class AddressRefused extends Error {
  override readonly name = 'AddressRefused'

  constructor(host: string, address: string) {
    const where = host === address ? host : `${host} is at ${address}, which`
    const why = mayBeAt(host, address, 'accept')
      ? 'is no public address: set `privateAddress: accept` under the issuer if it belongs there'
      : 'is no address that an issuer can have'
    super(`${where} ${why}`)
  }
}

/**
 * Connects to the addresses that were judged and to no others: a name is looked up once for each
 * connection, and all that it leads to has to be allowed, so that nobody can change in between what it says.
 *
 * @param lookup Absent: the system's. For tests, whose names lead to loopback alone.
 */
export function issuerConnector(
  privateAddress: PrivateAddress,
  options: { readonly timeout: number; readonly ca?: string[] },
  lookup: LookupFunction = lookUp,
): buildConnector.connector {
  const connect = buildConnector({ ...options, lookup: judging(lookup, privateAddress) })
  return (target, done) => {
    const { hostname } = target
    // No address is looked up.
    if (isIP(hostname) !== 0 && !mayBeAt(hostname, hostname, privateAddress)) {
      done(new AddressRefused(hostname, hostname), null)
      return
    }
    connect(target, done)
  }
}

function judging(lookup: LookupFunction, privateAddress: PrivateAddress): LookupFunction {
  return (host, options, done) => {
    lookup(host, options, (error, found, family) => {
      const refused = error === null ? refusedIn(host, found, privateAddress) : undefined
      if (refused === undefined) done(error, found, family)
      else done(new AddressRefused(host, refused), [])
    })
  }
}

function refusedIn(
  host: string,
  found: string | readonly LookupAddress[],
  privateAddress: PrivateAddress,
): string | undefined {
  const addresses = typeof found === 'string' ? [found] : found.map(({ address }) => address)
  return addresses.find((address) => !mayBeAt(host, address, privateAddress))
}
