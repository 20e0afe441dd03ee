/** A value that a test knows to be there. */
export function required<T>(value: T | undefined): T {
  if (value === undefined) throw new TypeError('a value that this test relies on is missing')
  return value
}
