import { Option } from 'commander'

export type OutputForm = 'raw' | 'json' | 'env'

/** @param what The one member that `raw` prints. */
export const outputOption = (what: string) =>
  new Option(
    '--output <form>',
    `raw: the ${what} alone; json: the whole answer; env: the same as lines for a shell`,
  )
    .choices(['raw', 'json', 'env'] satisfies readonly OutputForm[])
    .default('raw')

/** @param raw What of the answer is wanted in most cases. */
export function answerText(
  form: OutputForm,
  answer: Readonly<Record<string, string | number>>,
  raw: string,
): string {
  switch (form) {
    case 'raw':
      return raw
    case 'json':
      return JSON.stringify(answer)
    case 'env':
      return Object.entries(answer)
        .map(([name, value]) => `COUNTERSIGN_${name.toUpperCase()}=${shellWord(String(value))}`)
        .join('\n')
  }
}

/** Tokens and URLs stay as they are, so that files of `NAME=value` lines can hold them too. */
const shellWord = (text: string) =>
  /^[\w./:@%+=,-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`
