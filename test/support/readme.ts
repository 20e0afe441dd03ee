import { readFileSync } from 'node:fs'

const demoBlock = /(<!-- demo -->\n\n```\n)[\s\S]*?(\n```\n\n<!-- \/demo -->)/
const quotedFile = /(<!-- file: (\S+) -->\n\n```yaml\n)[\s\S]*?(\n```\n)/g

/** @throws Error when the page has no place for it. */
export function withDemoOutput(page: string, output: string): string {
  if (!demoBlock.test(page)) throw new Error('the page has no block for the demo')
  return page.replace(demoBlock, (_whole, before: string, after: string) =>
    [before, output.trim(), after].join(''),
  )
}

/** @throws Error when the page quotes no file. */
export function withQuotedFiles(page: string): string {
  if (page.search(quotedFile) < 0) throw new Error('the page quotes no file')
  return page.replaceAll(quotedFile, (_whole, before: string, file: string, after: string) =>
    [before, readFileSync(file, 'utf8').trim(), after].join(''),
  )
}

export function demoOutputIn(page: string): string {
  const block = demoBlock.exec(page)?.[0]
  if (block === undefined) throw new Error('the page has no block for the demo')
  return block.split('\n').slice(3, -3).join('\n')
}

/** The same text for two runs that showed the same: what differs by chance is masked. */
export function masked(output: string): string {
  return output
    .trim()
    .replaceAll(/[0-9a-f]{8}-[0-9a-f]{4}-[47][0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}/g, 'GUID')
    .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'TIME')
    .replaceAll(/127\.0\.0\.1:\d+/g, 'HOST')
    .replaceAll(/[0-9a-f]{32}/g, 'VERSION')
    .replaceAll(/eyJ\w+…/g, 'JWT')
    .replaceAll(/for 35\d\d s/g, 'for LIFE s')
}
