/** HTML that is safe to be put where an element or its text may stand. */
export class Html {
  readonly text: string
  private constructor(text: string) {
    this.text = text
  }

  /** For texts of the program itself: nothing in it is escaped. */
  static ofOurs(text: string): Html {
    return new Html(text)
  }
}

/** What a template takes. Absent and empty lists are nothing. */
export type HtmlValue = string | number | Html | undefined | readonly HtmlValue[]

/**
 * HTML with what stands in its holes shown as text, whoever has chosen it: a value cannot end the text or the
 * quoted attribute that it is in, turn the direction of writing, or be longer than a page can bear.
 */
export const html = (literals: TemplateStringsArray, ...values: readonly HtmlValue[]): Html =>
  Html.ofOurs(
    literals.reduce((text, literal, index) => text + markupOf(values[index - 1]) + literal),
  )

function markupOf(value: HtmlValue): string {
  if (value === undefined) return ''
  if (value instanceof Html) return value.text
  if (typeof value === 'number') return String(value)
  if (typeof value === 'string') return escaped(shownText(value))
  return value.map(markupOf).join('')
}

/** Longer than anything of ours; whoever wants all of it reads the log. */
export const textLengthMax = 600

/** Cut, and with what does not print, or turns the direction of writing, written out as `\u{202e}`. */
export function shownText(text: string): string {
  const cut = text.length <= textLengthMax ? text : text.slice(0, textLengthMax)
  const shown = cut.replaceAll(
    /[\p{C}\p{Zl}\p{Zp}]/gu,
    (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`,
  )
  return text.length === cut.length ? shown : `${shown}… (${text.length} characters)`
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

const escaped = (text: string): string =>
  text.replaceAll(/[&<>"']/g, (character) => entities[character] ?? '')

/**
 * JSON for a script element: the same value, and no character with which the element, or a comment in it,
 * could begin or end (HTML §4.12.1.3).
 */
export const scriptJson = (value: unknown): Html =>
  Html.ofOurs(
    JSON.stringify(value).replaceAll(
      /[<>&\u2028\u2029]/g,
      (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
    ),
  )
