/**
 * Reading DER (ITU-T X.690) as far as extensions of certificates need it. Strict: a length that is
 * longer than it must be, or that leads past its end, makes the whole unreadable, because two readers of
 * such bytes may see different things.
 */
export interface DerValue {
  /** The identifier octet: class, form and number together; tags above 30 are not read. */
  readonly tag: number
  readonly content: Buffer
  /** The value with its tag and length, as signed. */
  readonly whole: Buffer
}

export const derTags = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  objectIdentifier: 0x06,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  /** `[n] EXPLICIT` or a constructed `[n] IMPLICIT`. */
  constructed: (n: number) => 0xa0 | n,
  /** `[n] IMPLICIT` of a primitive type. */
  primitive: (n: number) => 0x80 | n,
} as const

/** The one value that the bytes are; undefined when they are anything else. */
export function readDer(bytes: Buffer): DerValue | undefined {
  const values = readDerValues(bytes)
  return values?.length === 1 ? values[0] : undefined
}

/** The values that follow one another to the end of the bytes; undefined when they do not end there. */
export function readDerValues(bytes: Buffer): readonly DerValue[] | undefined {
  const values: DerValue[] = []
  for (let at = 0; at < bytes.length;) {
    const value = firstValue(bytes.subarray(at))
    if (value === undefined) return undefined
    values.push(value)
    at += value.whole.length
  }
  return values
}

/** What a value of this tag is made of; undefined for another tag. */
export function membersOf(
  value: DerValue | undefined,
  tag: number = derTags.sequence,
): readonly DerValue[] | undefined {
  return value?.tag === tag ? readDerValues(value.content) : undefined
}

function firstValue(bytes: Buffer): DerValue | undefined {
  const [tag, first] = bytes
  if (tag === undefined || first === undefined || (tag & 0x1f) === 0x1f) return undefined
  const header = first < 0x80 ? { bytes: 2, length: first } : longHeader(bytes, first & 0x7f)
  if (header === undefined) return undefined
  const end = header.bytes + header.length
  if (end > bytes.length) return undefined
  return { tag, content: bytes.subarray(header.bytes, end), whole: bytes.subarray(0, end) }
}

/** @param octets How many octets say the length; more than three are longer than any certificate. */
function longHeader(bytes: Buffer, octets: number) {
  if (octets < 1 || octets > 3 || bytes.length < 2 + octets) return undefined
  const length = bytes.readUIntBE(2, octets)
  const isShortest = length >= 0x80 && bytes[2] !== 0
  return isShortest ? { bytes: 2 + octets, length } : undefined
}
