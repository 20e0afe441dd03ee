import type { X509Certificate } from 'node:crypto'
import { type DerValue, derTags, membersOf, readDer } from './der.ts'
import { type Validity, validityFrom } from './validity.ts'

/** What a certificate says about itself (RFC 5280 §4), read from its own bytes. */
export interface CertificateFacts {
  /** `cA` of basicConstraints; false where it does not say. */
  readonly isAuthority: boolean
  /** How many authorities may stand below this one; absent: any number. */
  readonly pathLength?: number
  /** Absent: it does not say, and may be used for anything. */
  readonly keyUsage?: { readonly digitalSignature: boolean; readonly keyCertSign: boolean }
  /** Whether a client may prove itself with it; absent: it does not say. */
  readonly clientAuthentication?: boolean
  /** Of its subject alternative names, those that can be an identity; other kinds are passed over. */
  readonly names: Readonly<Record<AlternativeName, readonly string[]>>
  /** Demands something of its path that is not understood here: an unknown critical extension, or name constraints. */
  readonly demandsMore: boolean
  readonly signature: 'strong' | 'other'
  readonly validity: Validity
}

export type AlternativeName = 'uri' | 'dns' | 'email'

/** By the DER of what follows their tag and length, in hexadecimal. */
const extensionNames = {
  '551d0f': 'keyUsage',
  '551d11': 'subjectAltName',
  '551d13': 'basicConstraints',
  '551d1e': 'nameConstraints',
  '551d20': 'certificatePolicies',
  '551d25': 'extKeyUsage',
} as const
type ExtensionName = (typeof extensionNames)[keyof typeof extensionNames]

const clientAuthenticationHex = '2b06010505070302'

/**
 * SHA-256 and longer with RSA (PKCS #1 v1.5) or ECDSA, and Ed25519. Others are weak, or say in parameters
 * of their own how weak they are.
 */
const strongSignatures: ReadonlySet<string> = new Set([
  '2a864886f70d01010b',
  '2a864886f70d01010c',
  '2a864886f70d01010d',
  '2a8648ce3d040302',
  '2a8648ce3d040303',
  '2a8648ce3d040304',
  '2b6570',
])

/** Undefined for a certificate that is not of version 3, or is not written as every reader reads it. */
export function certificateFactsFrom({ raw }: X509Certificate): CertificateFacts | undefined {
  const [toBeSigned, outerAlgorithm] = membersOf(readDer(raw)) ?? []
  const [version, , innerAlgorithm, , times, ...others] = membersOf(toBeSigned) ?? []
  if (outerAlgorithm === undefined || innerAlgorithm === undefined) return undefined
  if (!innerAlgorithm.whole.equals(outerAlgorithm.whole) || !isVersion3(version)) return undefined
  const read = extensionsFrom(others.find(({ tag }) => tag === derTags.constructed(3)))
  const validity = validityFrom(times)
  if (read === undefined || validity === undefined) return undefined
  return factsFrom(read, validity, hexOf(membersOf(outerAlgorithm)?.[0]))
}

const isVersion3 = (version: DerValue | undefined) =>
  membersOf(version, derTags.constructed(0))?.[0]?.content.toString('hex') === '02'

interface Extensions {
  readonly values: ReadonlyMap<ExtensionName, DerValue>
  readonly unknownCritical: boolean
}

function extensionsFrom(part: DerValue | undefined): Extensions | undefined {
  if (part === undefined) return { values: new Map(), unknownCritical: false }
  const list = membersOf(membersOf(part, derTags.constructed(3))?.[0])
  if (list === undefined) return undefined
  const values = new Map<ExtensionName, DerValue>()
  const seen = new Set<string>()
  let unknownCritical = false
  for (const extension of list) {
    const [identifier, ...rest] = membersOf(extension) ?? []
    const octets = rest.at(-1)
    const value = octets?.tag === derTags.octetString ? readDer(octets.content) : undefined
    const hex = hexOf(identifier)
    // Twice the same leaves it to each reader which of them counts (RFC 5280 §4.2).
    if (hex === undefined || rest.length > 2 || seen.has(hex)) return undefined
    seen.add(hex)
    const name = isKnown(hex) ? extensionNames[hex] : undefined
    if (name === undefined) unknownCritical ||= isCritical(rest)
    else if (value === undefined) return undefined
    else values.set(name, value)
  }
  return { values, unknownCritical }
}

const isKnown = (hex: string): hex is keyof typeof extensionNames =>
  Object.hasOwn(extensionNames, hex)

/** Anything before the value but FALSE: what is written oddly is not taken for the milder of two meanings. */
const isCritical = (rest: readonly DerValue[]) =>
  rest.length === 2 && rest[0]?.content.toString('hex') !== '00'

const hexOf = (identifier: DerValue | undefined) =>
  identifier?.tag === derTags.objectIdentifier ? identifier.content.toString('hex') : undefined

function factsFrom(
  { values, unknownCritical }: Extensions,
  validity: Validity,
  algorithm: string | undefined,
): CertificateFacts | undefined {
  const constraints = constraintsFrom(values.get('basicConstraints'))
  const keyUsage = keyUsageFrom(values.get('keyUsage'))
  const purposes = purposesFrom(values.get('extKeyUsage'))
  const names = namesFrom(values.get('subjectAltName'))
  if (constraints === undefined || keyUsage === undefined) return undefined
  if (purposes === undefined || names === undefined) return undefined
  return {
    ...constraints,
    ...keyUsage,
    ...purposes,
    names,
    demandsMore: unknownCritical || values.has('nameConstraints'),
    signature: strongSignatures.has(algorithm ?? '') ? 'strong' : 'other',
    validity,
  }
}

function constraintsFrom(
  value: DerValue | undefined,
): Pick<CertificateFacts, 'isAuthority' | 'pathLength'> | undefined {
  if (value === undefined) return { isAuthority: false }
  const members = membersOf(value)
  if (members === undefined || members.length > 2) return undefined
  const [authority, length] = members
  if (authority === undefined) return { isAuthority: false }
  // DER leaves FALSE out, and a length means nothing without TRUE.
  if (authority.tag !== derTags.boolean || authority.content.toString('hex') !== 'ff') {
    return undefined
  }
  if (length === undefined) return { isAuthority: true }
  const [octet = 0x80] = length.content
  const isSmall = length.tag === derTags.integer && length.content.length === 1 && octet < 0x80
  return isSmall ? { isAuthority: true, pathLength: octet } : undefined
}

function keyUsageFrom(value: DerValue | undefined): Pick<CertificateFacts, 'keyUsage'> | undefined {
  if (value === undefined) return {}
  const [unused, bits = 0] = value.content
  if (value.tag !== derTags.bitString || unused === undefined || unused > 7) return undefined
  const keyUsage = { digitalSignature: (bits & 0x80) !== 0, keyCertSign: (bits & 0x04) !== 0 }
  return { keyUsage }
}

/** "Any" is not enough: OpenSSL does not take it for clients either. */
function purposesFrom(
  value: DerValue | undefined,
): Pick<CertificateFacts, 'clientAuthentication'> | undefined {
  if (value === undefined) return {}
  const purposes = membersOf(value)
  if (purposes === undefined) return undefined
  return { clientAuthentication: purposes.some((one) => hexOf(one) === clientAuthenticationHex) }
}

const kindOfTag: ReadonlyMap<number, AlternativeName> = new Map([
  [derTags.primitive(1), 'email'],
  [derTags.primitive(2), 'dns'],
  [derTags.primitive(6), 'uri'],
])

function namesFrom(value: DerValue | undefined): CertificateFacts['names'] | undefined {
  const names: Record<AlternativeName, string[]> = { uri: [], dns: [], email: [] }
  if (value === undefined) return names
  const members = membersOf(value)
  if (members === undefined) return undefined
  for (const { tag, content } of members) {
    const kind = kindOfTag.get(tag)
    if (kind === undefined) continue
    // No control character, no NUL at which others stop to read, nothing beyond ASCII (IA5String).
    if (!content.every((octet) => octet > 0x20 && octet < 0x7f)) return undefined
    names[kind].push(content.toString('latin1'))
  }
  return names
}
