import type { TokenFault } from './caller.ts'

export type StrictJsonFault = Extract<
  TokenFault,
  | 'not UTF-8'
  | 'not JSON'
  | 'not a JSON object'
  | 'a member twice'
  | 'nested too deep'
  | 'a number that is not exact'
  | 'a lone surrogate'
>

/** Frozen all the way down; objects have no prototype, so only what was written is found in them. */
export type StrictJsonObject = Readonly<Record<string, unknown>>

export type StrictJson =
  | { readonly ok: true; readonly object: StrictJsonObject }
  | { readonly ok: false; readonly fault: StrictJsonFault }

/** Kubernetes nests three deep and Keycloak four; more than this is nobody's claim set. */
const depthMax = 8

// A byte order mark is kept, so that JSON.parse refuses it.
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * Reads one JSON object that everybody reads alike (RFC 8725 §2.4, RFC 7493): no member twice, no
 * number that loses digits, no text without a UTF-8 form.
 */
export function parseStrictJsonObject(bytes: Uint8Array): StrictJson {
  const text = decodeUtf8(bytes)
  if (text === undefined) return { ok: false, fault: 'not UTF-8' }
  const value = parseJson(text)
  if (value === undefined) return { ok: false, fault: 'not JSON' }
  if (!isObject(value.json)) return { ok: false, fault: 'not a JSON object' }
  const fault = faultIn(text)
  if (fault !== undefined) return { ok: false, fault }
  return { ok: true, object: JSON.parse(text, sealed) as StrictJsonObject }
}

function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return utf8.decode(bytes)
  } catch {
    return undefined
  }
}

function parseJson(text: string): { readonly json: unknown } | undefined {
  try {
    return { json: JSON.parse(text) as unknown }
  } catch {
    return undefined
  }
}

const isObject = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** A string with the colon that makes it a name, a number, or a bracket; all of it linear. */
const lexeme = /("(?:[^"\\]|\\.)*")(\s*:)?|-?\d[\d.eE+-]*|[{}[\]]/g

/** @param text Known to be JSON, so that the lexemes are all there is. */
function faultIn(text: string): StrictJsonFault | undefined {
  const open: Set<string>[] = []
  for (const [found, quoted, colon] of text.matchAll(lexeme)) {
    if (found === '{' || found === '[') {
      if (open.push(new Set()) > depthMax) return 'nested too deep'
    } else if (found === '}' || found === ']') {
      open.pop()
    } else if (quoted === undefined) {
      if (!isExact(Number(found))) return 'a number that is not exact'
    } else {
      const string = JSON.parse(quoted) as string
      if (!string.isWellFormed()) return 'a lone surrogate'
      if (colon !== undefined && !isNew(string, open.at(-1))) return 'a member twice'
    }
  }
  return undefined
}

/** Two ids that differ only beyond 2^53 would match one grant; fractions are times and may be rounded. */
const isExact = (number: number) =>
  Number.isInteger(number) ? Number.isSafeInteger(number) : Number.isFinite(number)

function isNew(name: string, names: Set<string> | undefined): boolean {
  if (names === undefined) throw new TypeError('a name in JSON stands in an object')
  return names.size !== names.add(name).size
}

function sealed(_name: string, value: unknown): unknown {
  if (!isObject(value)) return Object.freeze(value)
  return Object.freeze(Object.assign(Object.create(null) as object, value))
}
