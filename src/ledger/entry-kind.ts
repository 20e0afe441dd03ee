/**
 * The kind of an entry from its canonical form, without parsing the rest: a quotation mark inside a text has a
 * backslash before it (RFC 8785), so these bytes are in it only as its member `kind`.
 */
export function kindOf(canonical: Uint8Array): string | undefined {
  const bytes = Buffer.from(canonical.buffer, canonical.byteOffset, canonical.byteLength)
  const at = bytes.indexOf(mark)
  if (at === -1) return undefined
  const from = at + mark.length
  const to = bytes.indexOf(quotationMark, from)
  return to === -1 ? undefined : bytes.toString('latin1', from, to)
}

const mark = Buffer.from('"kind":"')
const quotationMark = 0x22
