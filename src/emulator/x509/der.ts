/**
 * DER encoding (ITU-T X.690), as much of it as certificates and key files need. Only writes: what is
 * written here is read by node:crypto, OpenSSL and clients, which are its judges.
 */

const tags = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  objectIdentifier: 0x06,
  utf8String: 0x0c,
  printableString: 0x13,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const

/** One tag-length-value; `contents` are concatenated. */
export function derValue(tag: number, ...contents: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(contents)
  return Buffer.concat([Buffer.from([tag]), lengthOctets(content.length), content])
}

function lengthOctets(length: number): Buffer {
  if (length < 0x80) return Buffer.from([length])
  const octets = unsignedOctets(BigInt(length))
  return Buffer.concat([Buffer.from([0x80 | octets.length]), octets])
}

function unsignedOctets(value: bigint): Buffer {
  const hex = value.toString(16)
  return Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex')
}

export const sequence = (...items: readonly Uint8Array[]) => derValue(tags.sequence, ...items)

/** A SET OF one member, which needs no sorting. */
export const setOfOne = (item: Uint8Array) => derValue(tags.set, item)

export const octetString = (bytes: Uint8Array) => derValue(tags.octetString, bytes)

export const nullValue = derValue(tags.null)

export const booleanTrue = derValue(tags.boolean, Buffer.from([0xff]))

/** Whole octets, none of the bits unused. */
export const bitString = (bytes: Uint8Array) => derValue(tags.bitString, Buffer.from([0]), bytes)

/** A BIT STRING of named bits (X.680 §22.7): trailing zero bits are left out. */
export function namedBits(bits: readonly number[]): Buffer {
  const last = Math.max(...bits)
  const octets = Buffer.alloc((last >> 3) + 1)
  for (const bit of bits) octets[bit >> 3] = (octets[bit >> 3] ?? 0) | (0x80 >> (bit & 7))
  return derValue(tags.bitString, Buffer.from([7 - (last & 7)]), octets)
}

/** A non-negative INTEGER of big-endian octets, as short as DER wants it. */
export function integer(octets: Uint8Array): Buffer {
  const firstSet = octets.findIndex((octet) => octet !== 0)
  const significant = firstSet === -1 ? Buffer.from([0]) : Buffer.from(octets.subarray(firstSet))
  const sign = ((significant[0] ?? 0) & 0x80) === 0 ? [] : [Buffer.from([0])]
  return derValue(tags.integer, ...sign, significant)
}

export const smallInteger = (value: number) => integer(unsignedOctets(BigInt(value)))

/** @param dotted Such as `2.5.4.3`. */
export function objectIdentifier(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number)
  return derValue(
    tags.objectIdentifier,
    ...[first * 40 + second, ...rest].map((arc) => base128Octets(arc)),
  )
}

function base128Octets(arc: number): Buffer {
  const octets = [arc & 0x7f]
  for (let left = arc >>> 7; left > 0; left >>>= 7) octets.unshift(0x80 | (left & 0x7f))
  return Buffer.from(octets)
}

export const utf8String = (text: string) => derValue(tags.utf8String, Buffer.from(text, 'utf8'))

export const printableString = (text: string) =>
  derValue(tags.printableString, Buffer.from(text, 'ascii'))

/** `[n] EXPLICIT`. */
export const explicitTag = (n: number, inner: Uint8Array) => derValue(0xa0 | n, inner)

/** `[n] IMPLICIT` of a primitive type whose content octets these are. */
export const implicitTag = (n: number, content: Uint8Array) => derValue(0x80 | n, content)

/**
 * A `Time` of RFC 5280 §4.1.2.5: two-digit years up to 2049, four digits from then on.
 *
 * @param iso UTC, as `2026-11-22T04:56:16Z`; fractions of a second are cut off.
 */
export function time(iso: string): Buffer {
  const digits = `${iso.slice(0, 19).replace(/[-:T]/g, '')}Z`
  return Number(digits.slice(0, 4)) < 2050
    ? derValue(tags.utcTime, Buffer.from(digits.slice(2), 'ascii'))
    : derValue(tags.generalizedTime, Buffer.from(digits, 'ascii'))
}
