/**
 * What a token says, if it is a short name: for an operator who compares it with the configuration.
 * A token, a key or a sentence is not shown.
 */
export function shortName(value: unknown): string {
  if (value === undefined) return 'nothing'
  return typeof value === 'string' && /^[\w.:/@-]{1,80}$/.test(value) ? value : '(not shown)'
}
