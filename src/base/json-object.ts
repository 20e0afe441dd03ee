/** What an object that somebody else has written holds, by name. */
export type Members = Readonly<Record<string, unknown>>

/** Whether a JSON value is an object; a list is none. */
export const isObject = (value: unknown): value is Members =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
