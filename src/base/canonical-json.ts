/** What JSON can say. `undefined` members are absent, as in `JSON.stringify`. */
export type Json = string | number | boolean | null | readonly Json[] | JsonObject
export interface JsonObject {
  readonly [name: string]: Json | undefined
}

/**
 * Canonical form of a JSON value (RFC 8785): members sorted by UTF-16 code units, no white space,
 * numbers and strings as ECMAScript writes them.
 *
 * @throws RangeError for NaN, infinities and lone surrogates, which have no canonical form.
 */
export function canonicalJson(value: Json): string {
  if (typeof value === 'string') return canonicalString(value)
  if (typeof value === 'number' && !Number.isFinite(value)) {
    throw new RangeError('a number without a JSON form')
  }
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  if (isArray(value)) return `[${value.map(canonicalJson).join(',')}]`
  return canonicalObject(value)
}

/** Printable ASCII without quotation mark and backslash: most of what there is, and twice as fast. */
const plain = /^[ !#-[\]-~]*$/

function canonicalString(text: string): string {
  if (plain.test(text)) return `"${text}"`
  if (!text.isWellFormed()) throw new RangeError('a string with a lone surrogate')
  return JSON.stringify(text)
}

function canonicalObject(object: JsonObject): string {
  let members = ''
  for (const name of Object.keys(object).sort()) {
    const member = object[name]
    if (member === undefined) continue
    members += `${members === '' ? '' : ','}${canonicalString(name)}:${canonicalJson(member)}`
  }
  return `{${members}}`
}

/** `Array.isArray` forgets what a readonly array holds. */
const isArray = (value: readonly Json[] | JsonObject): value is readonly Json[] =>
  Array.isArray(value)
