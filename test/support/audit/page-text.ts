/** What a person reads of a piece of HTML: without tags, style and program, entities as they are shown. */
export function textOf(markup: string): string {
  return withoutPrograms(markup)
    .replaceAll(/<[^>]*>/g, ' ')
    .replaceAll(/&(amp|lt|gt|quot|#39);/g, (_, name: string) => shown[name] ?? '')
    .replaceAll(/\s+/g, ' ')
    .trim()
}

const shown: Readonly<Record<string, string>> = {
  amp: '&',
  lt: '<',
  gt: '>',
  quot: '"',
  '#39': "'",
}

/** Elements and the names of their attributes, in order: what a value cannot change while it stays text. */
export const tagsOf = (markup: string): readonly string[] =>
  [...withoutPrograms(markup).matchAll(/<[^>]*>/g)].map(([tag]) =>
    tag.replaceAll(/"[^"]*"/g, '""').replaceAll(/\s+/g, ' '),
  )

const withoutPrograms = (markup: string): string =>
  markup.replaceAll(/<(style|script)\b[^>]*>[^]*?<\/\1>/g, '<$1></$1>')
