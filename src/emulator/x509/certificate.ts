import { createHash, randomBytes, sign, type KeyObject } from 'node:crypto'
import { isIPv4, isIPv6 } from 'node:net'
import { isoFrom } from '../emulator-clock.ts'
import {
  bitString,
  booleanTrue,
  explicitTag,
  implicitTag,
  integer,
  namedBits,
  nullValue,
  objectIdentifier,
  octetString,
  printableString,
  sequence,
  setOfOne,
  smallInteger,
  time,
  utf8String,
} from './der.ts'

/** Bits of RFC 5280 §4.2.1.3. */
const keyUsageBits = {
  digitalSignature: 0,
  nonRepudiation: 1,
  keyEncipherment: 2,
  dataEncipherment: 3,
  keyCertSign: 5,
  cRLSign: 6,
} as const

export type KeyUsage = keyof typeof keyUsageBits

export interface CertificateContent {
  /** `CN=name, O=…`, in that order; without escapes. */
  readonly subject: string
  readonly subjectKey: KeyObject
  readonly notBeforeSeconds: number
  readonly notAfterSeconds: number
  readonly keyUsage: readonly KeyUsage[]
  readonly authority: boolean
  /** How many authorities may stand below this one; absent: any number. */
  readonly pathLength?: number
  /** Object identifiers; empty leaves the extension out. */
  readonly extendedKeyUsage: readonly string[]
  /** DNS names, IP addresses, URIs and mail addresses; empty leaves the extension out. */
  readonly alternativeNames: readonly string[]
  /** Extensions besides those above, as their DER. */
  readonly furtherExtensions?: readonly Buffer[]
}

export interface CertificateSigner {
  readonly subject: string
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
}

/** The DER of an X.509 v3 certificate (RFC 5280), signed with SHA-256 by an RSA or P-256 key. */
export function signCertificate(content: CertificateContent, signer: CertificateSigner): Buffer {
  const algorithm = signatureAlgorithm(signer.privateKey)
  const toBeSigned = sequence(
    explicitTag(0, smallInteger(2)),
    integer(serialNumber()),
    algorithm,
    nameOf(signer.subject),
    sequence(time(isoFrom(content.notBeforeSeconds)), time(isoFrom(content.notAfterSeconds))),
    nameOf(content.subject),
    publicKeyInfo(content.subjectKey),
    explicitTag(3, sequence(...extensionsOf(content, signer))),
  )
  return sequence(toBeSigned, algorithm, bitString(sign('sha256', toBeSigned, signer.privateKey)))
}

/** Positive, and 127 random bits are enough never to meet another (RFC 5280 §4.1.2.2). */
function serialNumber(): Buffer {
  const octets = randomBytes(16)
  octets[0] = ((octets[0] ?? 0) & 0x7f) | 0x40
  return octets
}

function signatureAlgorithm(key: KeyObject): Buffer {
  return key.asymmetricKeyType === 'rsa'
    ? sequence(objectIdentifier('1.2.840.113549.1.1.11'), nullValue)
    : sequence(objectIdentifier('1.2.840.10045.4.3.2'))
}

const publicKeyInfo = (key: KeyObject) => key.export({ type: 'spki', format: 'der' })

/** Any digest of the key will do for matching issuer and subject (RFC 5280 §4.2.1.2). */
const keyIdentifier = (key: KeyObject) =>
  createHash('sha256').update(publicKeyInfo(key)).digest().subarray(0, 20)

const attributeTypes: Readonly<Record<string, string>> = {
  CN: '2.5.4.3',
  C: '2.5.4.6',
  L: '2.5.4.7',
  ST: '2.5.4.8',
  O: '2.5.4.10',
  OU: '2.5.4.11',
}

function nameOf(subject: string): Buffer {
  return sequence(...subject.split(',').map((part) => setOfOne(attributeOf(part))))
}

function attributeOf(part: string): Buffer {
  const [type = '', ...value] = part.split('=')
  const identifier = attributeTypes[type.trim().toUpperCase()]
  if (identifier === undefined) {
    throw new RangeError(`subject part '${part}' is none of ${Object.keys(attributeTypes).join()}`)
  }
  const text = value.join('=').trim()
  // RFC 5280 wants countryName as PrintableString; everything else may be UTF-8.
  const encoded = identifier === attributeTypes['C'] ? printableString(text) : utf8String(text)
  return sequence(objectIdentifier(identifier), encoded)
}

function extensionsOf(content: CertificateContent, signer: CertificateSigner): Buffer[] {
  const extensions = [
    critical('2.5.29.19', basicConstraints(content)),
    critical('2.5.29.15', namedBits(content.keyUsage.map((usage) => keyUsageBits[usage]))),
    extension('2.5.29.14', octetString(keyIdentifier(content.subjectKey))),
    extension('2.5.29.35', sequence(implicitTag(0, keyIdentifier(signer.publicKey)))),
  ]
  if (content.extendedKeyUsage.length > 0) {
    const purposes = content.extendedKeyUsage.map(objectIdentifier)
    extensions.push(extension('2.5.29.37', sequence(...purposes)))
  }
  if (content.alternativeNames.length > 0) {
    extensions.push(extension('2.5.29.17', sequence(...content.alternativeNames.map(generalName))))
  }
  return [...extensions, ...(content.furtherExtensions ?? [])]
}

function basicConstraints({ authority, pathLength }: CertificateContent): Buffer {
  if (!authority) return sequence()
  return sequence(booleanTrue, ...(pathLength === undefined ? [] : [smallInteger(pathLength)]))
}

export const extension = (identifier: string, value: Buffer) =>
  sequence(objectIdentifier(identifier), octetString(value))

export const critical = (identifier: string, value: Buffer) =>
  sequence(objectIdentifier(identifier), booleanTrue, octetString(value))

function generalName(name: string): Buffer {
  if (isIPv4(name)) return implicitTag(7, Buffer.from(name.split('.').map(Number)))
  if (isIPv6(name)) return implicitTag(7, ipv6Octets(name))
  if (name.includes('://')) return implicitTag(6, Buffer.from(name, 'ascii'))
  if (name.includes('@')) return implicitTag(1, Buffer.from(name, 'ascii'))
  return implicitTag(2, Buffer.from(name, 'ascii'))
}

function ipv6Octets(address: string): Buffer {
  const [left = '', right = ''] = address.split('::')
  const groups = (text: string) => (text === '' ? [] : text.split(':'))
  const fill = Array<string>(8 - groups(left).length - groups(right).length).fill('0')
  const all = address.includes('::') ? [...groups(left), ...fill, ...groups(right)] : groups(left)
  return Buffer.from(all.map((group) => group.padStart(4, '0')).join(''), 'hex')
}

/** PEM of one DER structure (RFC 7468). */
export function pemFrom(label: string, der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? []
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ''].join('\n')
}
