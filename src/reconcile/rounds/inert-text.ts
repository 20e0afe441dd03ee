/** What a token looks like, whoever put it into a User-Agent; also one that was cut. */
const credentials = /eyJ[\w-]{8,}[\w.-]*|[A-Za-z0-9+/_=-]{80,}/g

/**
 * A text that others have chosen, for programs that show it without looking: a credential is left out, a
 * spreadsheet takes it for no formula, and a page that forgets to escape it for no element.
 */
export function inertText(text: string): string {
  const shown = text.replaceAll(credentials, '[redacted]').replaceAll('<', '‹').replaceAll('>', '›')
  return /^[=+\-@\t\r\n]/.test(shown) ? `'${shown}` : shown
}
