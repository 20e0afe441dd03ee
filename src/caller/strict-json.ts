import { isObject } from '../base/json-object.ts'
import { parseJson } from '../base/parse-json.ts'
import type { TokenFault } from './caller.ts'

export type StrictJsonFault = Extract<
  TokenFault,
  | 'not UTF-8'
  | 'not JSON'
  | 'not a JSON object'
  | 'too many parts'
  | 'a member twice'
  | 'nested too deep'
  | 'a number that is not exact'
  | 'a lone surrogate'
>

/** As parsed: it has the prototype of any object, so look for own members alone, or seal it first. */
export type StrictJsonObject = Readonly<Record<string, unknown>>

export type StrictJson =
  | { readonly ok: true; readonly object: StrictJsonObject }
  | { readonly ok: false; readonly fault: StrictJsonFault }

/** Kubernetes nests three deep and Keycloak four; more than this is nobody's claim set. */
const depthMax = 8

/**
 * Ours: anybody can send us a text that is all brackets or names, and each of them costs more than its
 * bytes. The largest token that we take has room for 330 GUIDs, 650 names of roles, or the roles of 200
 * of Keycloak's clients, two members each.
 */
const partsMax = { members: 512, values: 1024 }

// A byte order mark is kept, so that JSON.parse refuses it.
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * Reads one JSON object that everybody reads alike (RFC 8725 §2.4, RFC 7493): no member twice, no
 * number that loses digits, no text without a UTF-8 form.
 *
 * The bytes are a stranger's: what they cost is linear in their number, and at most a few times what a
 * real claim set of that size does.
 */
export function parseStrictJsonObject(bytes: Uint8Array): StrictJson {
  const written = punctuationOf(bytes)
  if (written.members > partsMax.members || written.values > partsMax.values) {
    return { ok: false, fault: 'too many parts' }
  }
  const text = decodeUtf8(bytes)
  if (text === undefined) return { ok: false, fault: 'not UTF-8' }
  const value = parseJson(text)
  if (value === undefined) return { ok: false, fault: 'not JSON' }
  if (!isObject(value)) return { ok: false, fault: 'not a JSON object' }
  const members = membersIn(value, 1)
  if (typeof members === 'string') return { ok: false, fault: members }
  // Parsing keeps the last of those that have one name.
  if (members < written.members) return { ok: false, fault: 'a member twice' }
  return { ok: true, object: value }
}

/** Frozen all the way down; objects have no prototype, so only what was written is found in them. */
export function sealed(object: StrictJsonObject): StrictJsonObject {
  // Declared as `any`.
  const bare = Object.create(null) as Record<string, unknown>
  for (const [name, member] of Object.entries(object)) bare[name] = sealedValue(member)
  return Object.freeze(bare)
}

function sealedValue(value: unknown): unknown {
  if (Array.isArray(value)) return Object.freeze(value.map(sealedValue))
  return isObject(value) ? sealed(value) : value
}

const [quote, backslash, colon, comma, brace, bracket] = Buffer.from('"\\:,{[')

/**
 * How many members are written in JSON and, by opening brackets and commas, about how many values: told
 * by what stands between its texts. In UTF-8 no other character has bytes like these. Of bytes that are
 * no JSON it says nothing that is true.
 */
function punctuationOf(bytes: Uint8Array): { readonly members: number; readonly values: number } {
  let members = 0
  let values = 0
  let inText = false
  for (let at = 0; at < bytes.length; at += 1) {
    const byte = bytes[at]
    if (byte === quote) inText = !inText
    else if (inText) at += byte === backslash ? 1 : 0
    else if (byte === colon) members += 1
    else if (byte === comma || byte === brace || byte === bracket) values += 1
  }
  return { members, values }
}

function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return utf8.decode(bytes)
  } catch {
    return undefined
  }
}

/** How many members the objects in a value have, together; or what is wrong with one of its parts. */
function membersIn(value: unknown, depth: number): number | StrictJsonFault {
  if (typeof value === 'string') return value.isWellFormed() ? 0 : 'a lone surrogate'
  if (typeof value === 'number') return isExact(value) ? 0 : 'a number that is not exact'
  if (typeof value !== 'object' || value === null) return 0
  if (depth > depthMax) return 'nested too deep'
  if (Array.isArray(value)) return membersOfAll(value, depth + 1)
  const names = Object.keys(value)
  if (!names.every((name) => name.isWellFormed())) return 'a lone surrogate'
  const within = membersOfAll(Object.values(value), depth + 1)
  return typeof within === 'string' ? within : names.length + within
}

function membersOfAll(values: readonly unknown[], depth: number): number | StrictJsonFault {
  let members = 0
  for (const value of values) {
    const found = membersIn(value, depth)
    if (typeof found === 'string') return found
    members += found
  }
  return members
}

/** Two ids that differ only beyond 2^53 would match one grant; fractions are times and may be rounded. */
const isExact = (number: number) =>
  Number.isInteger(number) ? Number.isSafeInteger(number) : Number.isFinite(number)
