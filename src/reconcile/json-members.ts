import { isObject, type Members } from '../base/json-object.ts'
import { parseJson } from '../base/parse-json.ts'

/** Looking into JSON that somebody else has written: what has another type than expected is not there. */

/** No members where there is no object; one that was written as text is an object too. */
export function objectIn(members: Members, name: string): Members {
  const value = members[name]
  if (isObject(value)) return value
  const parsed = typeof value === 'string' ? parseJson(value) : undefined
  return isObject(parsed) ? parsed : {}
}

/** No elements where there is no list; one that was written as text is a list too. */
export function listIn(members: Members, name: string): readonly unknown[] {
  const value = members[name]
  if (Array.isArray(value)) return value
  const parsed = typeof value === 'string' ? parseJson(value) : undefined
  return Array.isArray(parsed) ? parsed : []
}

/** Of the first of these names that has some. Absent and empty say the same in these logs. */
export function textIn(members: Members, ...names: readonly string[]): string | undefined {
  for (const name of names) {
    const value = members[name]
    if (typeof value === 'string' && value !== '') return value
  }
  return undefined
}

export function numberIn(members: Members, name: string): number | undefined {
  const value = members[name]
  return typeof value === 'number' ? value : undefined
}

/** A number, or its digits: exports of tables write both. */
export function numberOrDigitsIn(members: Members, name: string): number | undefined {
  const value = members[name]
  if (typeof value === 'string' && /^-?\d{1,15}(\.0+)?$/.test(value)) return Number(value)
  return numberIn(members, name)
}

/** Evidence is cut here: a record may hold a whole request header of somebody else's making. */
export const evidenceLengthMax = 300

/** The member, cut; no member where there is no value. */
export function present<Name extends string>(name: Name, value: string | undefined) {
  return (value === undefined ? {} : { [name]: cutEvidence(value) }) as {
    readonly [N in Name]?: string
  }
}

/** A copy where it is cut: V8's slice of a text would keep all of it for as long. */
export function cutEvidence(value: string): string {
  if (value.length <= evidenceLengthMax) return value
  return Buffer.from(value.slice(0, evidenceLengthMax), 'utf16le').toString('utf16le')
}
