/**
 * Text of a file in a line for people: what does not print (line breaks, escapes that terminals obey,
 * marks that turn the direction of writing) becomes `?`, and what is longer is cut.
 */
export function printable(text: string, lengthMax: number): string {
  const cut = text.length > lengthMax ? `${text.slice(0, lengthMax)}…` : text
  return cut.replaceAll(/[\p{C}\p{Zl}\p{Zp}]/gu, '?')
}
