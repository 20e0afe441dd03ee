import { resolve } from 'node:path'
import { z } from 'zod'
import { parsed, secret, text, wholeNumber } from '../yaml/forms.ts'
import {
  defaultSchema,
  parsePostgresUrl,
  postgresUrlRule,
  schemaNameRule,
} from '../base/postgres-url.ts'
import type { PostgresDatabase } from '../base/postgres-url.ts'
import { isMap } from '../yaml/yaml-document.ts'
import type { YamlPart } from '../yaml/yaml-part.ts'
import type { LedgerConfig } from './config.ts'
import { readNamedFile, type NamedFiles } from './named-files.ts'

/** It may hold a password. */
const urlForm = () => secret(parsed(postgresUrlRule, parsePostgresUrl, '^postgres(ql)?://'))

const postgresForm = z.strictObject({
  url: urlForm().optional().describe('Where the database is, and as whom it is used.'),
  urlFile: text('the path of a file with such a URL')
    .optional()
    .describe('Instead of url, relative to this file: read at each connecting, for a password.'),
  schema: text('a name of letters, digits and underscores, in lower case', schemaNameRule)
    .default(defaultSchema)
    .describe('Schema of the tables, for the service alone.'),
})

const inDefaultSchema = (url: PostgresDatabase): z.output<typeof postgresForm> => ({
  url,
  schema: defaultSchema,
})

export const ledgerForm = secret(
  z.strictObject({
    // A URL that was put here by mistake would be taken for a path, and repeated with its password.
    sqlite: secret(text('the path of a database file, and no URL', /^(?!\s*[a-z]+:\/\/).*\S/i))
      .optional()
      .describe('Database file of one process, relative to this file; made when it is not there.'),
    postgres: secret(
      z.union([urlForm().transform(inDefaultSchema), postgresForm], {
        error: `${postgresUrlRule}; or a map of url or urlFile, and schema`,
      }),
    )
      .optional()
      .describe('Database that any number of replicas share, as a URL or in parts.'),
    keepFreeMegabytes: wholeNumber(0, 1_000_000)
      .optional()
      .describe(
        'Of the disk of sqlite: with less, nothing is issued, so that what has begun can be written to its end; 64 unless said.',
      ),
  }),
).describe('Where everything that the service does is written before it counts.')

export type LedgerForm = z.output<typeof ledgerForm>

export function checkLedger(part: YamlPart): void {
  checkOneOf(part, 'sqlite', 'postgres')
  checkOneOf(part.at('postgres'), 'url', 'urlFile')
  const kept = part.at('keepFreeMegabytes')
  if (kept.value === undefined || part.at('sqlite').value !== undefined) return
  kept.report(
    'keep-free-of-sqlite',
    `\`${kept.name}\` is of the disk of \`ledger.sqlite\`, and there is none: remove it.`,
  )
}

function checkOneOf(part: YamlPart, one: string, other: string): void {
  if (!isMap(part.value)) return
  const [first, second] = [part.at(one).value, part.at(other).value]
  if ((first === undefined) !== (second === undefined)) return
  part.report(
    'one-of',
    `\`${part.name}\` must have either \`${one}\` or \`${other}\`: ${
      first === undefined ? 'add one of them' : 'remove one of them'
    }.`,
  )
}

/** @param folder Where relative paths start. */
export async function checkUrlFile(
  part: YamlPart,
  folder: string,
  namedFiles: NamedFiles,
): Promise<void> {
  const urlFile = part.at('postgres').at('urlFile')
  const written = await readNamedFile(urlFile, folder, namedFiles, 'url-file')
  if (written === undefined || parsePostgresUrl(written) !== undefined) return
  urlFile.report(
    'url-file',
    `The file of \`${urlFile.name}\` must hold ${postgresUrlRule}: put it there, and nothing else.`,
  )
}

/** Of a form that {@link checkLedger} has nothing to say about. */
export function ledgerFrom(
  { sqlite, keepFreeMegabytes = 64, postgres }: LedgerForm,
  folder: string,
): LedgerConfig {
  if (sqlite !== undefined) {
    const keptBytes = keepFreeMegabytes * 1024 * 1024
    return { kind: 'sqlite', file: resolve(folder, sqlite), keptBytes }
  }
  if (postgres === undefined) throw new TypeError('a ledger is kept somewhere')
  const { schema, ...at } = postgres
  if (at.url !== undefined) return { kind: 'postgres', at: { database: at.url }, schema }
  if (at.urlFile === undefined) throw new TypeError('a database is somewhere')
  return { kind: 'postgres', at: { urlFile: resolve(folder, at.urlFile) }, schema }
}
