import { isIP } from 'node:net'
import { mayBeAt, type PrivateAddress } from '../base/address-standing.ts'
import type { YamlPart } from '../yaml/yaml-part.ts'
import type { CloudConfig } from './config.ts'
import type { IssuerForm } from './issuer-forms.ts'
import type { SeenIssuer } from './issuers.ts'

/**
 * What holds where an issuer does not say. A cluster and a mesh have their keys inside, as a rule, and a
 * cloud of the operator's own is asked for tokens wherever it is. Others are on the internet, or belong to
 * somebody whose names may lead anywhere.
 */
export function privateAddressAt(
  kind: IssuerForm['kind'] | undefined,
  cloud: CloudConfig | undefined,
): PrivateAddress {
  if (kind === 'kubernetes' || kind === 'spiffe') return 'accept'
  const isOfTheCloud = kind === 'entra' || kind === 'azure-devops'
  return isOfTheCloud && cloud?.name === 'custom' ? 'accept' : 'refuse'
}

/** Which says where keys are asked for, or discovered: the first that is there. Without any, it follows from the kind. */
const settingsOfKeys = ['jwksUri', 'bundleUrl', 'issuer'] as const

/** Of addresses alone: where a name leads is looked up, and judged, whenever it is connected to. */
export function checkAddressOfKeys(
  issuer: YamlPart,
  seen: SeenIssuer,
  cloud: CloudConfig | undefined,
): void {
  if (!('privateAddress' in seen)) return
  const part = settingsOfKeys
    .map((setting) => issuer.at(setting))
    .find(({ value }) => value !== undefined)
  const url = typeof part?.value === 'string' ? URL.parse(part.value) : null
  if (part === undefined || url === null) return
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1')
  const privateAddress = seen.privateAddress ?? privateAddressAt(seen.kind, cloud)
  if (isIP(host) === 0 || mayBeAt(host, host, privateAddress)) return
  if (mayBeAt(host, host, 'accept')) {
    // The others are served without it.
    const message = `\`${part.name}\` is no public address, so its callers are never proven: set privateAddress: accept under it if the issuer belongs there.`
    part.report('private-address', message, 'warning')
  } else {
    const message = `\`${part.name}\` is an address that no issuer can have: name the host of its keys.`
    part.report('no-address', message)
  }
}
