import { readFileSync } from 'node:fs'
import { format as withArguments } from 'node:util'
import { format } from 'prettier'
import {
  type ClientTest,
  type ProvenClient,
  provenClients,
  type UnprovenClient,
  unprovenClients,
} from './client-rows.ts'

const block = /(<!-- clients -->\n)[^]*(<!-- \/clients -->)/

/**
 * Writes the table of clients into its page.
 *
 * @param passed Whether the test that proves a client did.
 * @throws Error when the page has no place for it.
 */
export async function withClients(
  page: string,
  passed: (test: ClientTest) => boolean,
): Promise<string> {
  if (!block.test(page)) throw new Error('the page has no block for the clients')
  const lines = [
    ['Client', 'Variables to set', 'In code', 'Proof', 'Result'],
    ['---', '---', '---', '---', '---'],
    ...provenClients.map((row) => provenCells(row, passed(row.test))),
    ...unprovenClients.map(unprovenCells),
  ].map((cells) => `| ${cells.join(' | ')} |`)
  const table = await format(lines.join('\n'), { parser: 'markdown' })
  return page.replace(block, (_whole, before: string, after: string) =>
    [before, table, after].join('\n'),
  )
}

/** As the report of a run has it, behind what it is in. */
export const titleOf = ({ title, each }: ClientTest) =>
  each === undefined ? title : withArguments(title, each)

/** What it is in, likewise. */
export const describeOf = ({ describe, kind = '' }: ClientTest) => describe?.replace('$kind', kind)

function provenCells(row: ProvenClient, passed: boolean): readonly string[] {
  const from = row.package === undefined ? '' : ` (${row.package} ${installedVersion(row.package)})`
  return [
    `${row.client}${from}`,
    row.variables.map((name) => `\`${name}\``).join(', ') || 'none',
    row.option ?? 'nothing',
    row.proof,
    passed ? ['works', row.limit ?? []].flat().join(', and ') : '**fails**',
  ]
}

const unprovenCells = ({ client, result, reason }: UnprovenClient) => [
  client,
  '',
  '',
  'none',
  `**${result}**: ${reason}`,
]

const installedVersion = (name: string) =>
  (JSON.parse(readFileSync(`node_modules/${name}/package.json`, 'utf8')) as { version: string })
    .version
