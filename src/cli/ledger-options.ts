import type { Command } from 'commander'
import { systemClock } from '../base/clock.ts'
import { formatProblem } from '../base/configuration-problem.ts'
import {
  defaultSchema,
  isUrl,
  parsePostgresUrl,
  postgresUrlRule,
  schemaNameRule,
} from '../base/postgres-url.ts'
import { readTextFile } from '../base/text-file.ts'
import { trustAlso } from '../base/trusted-roots.ts'
import type { Config } from '../config/config.ts'
import { EnvironmentError, readEnvironment } from '../config/environment.ts'
import { loadConfig } from '../config/load-config.ts'
import { LedgerDatabaseError } from '../ledger/ledger-database-error.ts'
import type { LedgerDatabase } from '../ledger/ledger-database.ts'
import { DecidedEntryError } from '../ledger/decided-entries.ts'
import { LedgerFileError, sqliteCode } from '../ledger/ledger-file.ts'
import { ledgerInDatabase, ledgerInFile } from '../ledger/ledger-source.ts'
import type { LedgerSource } from '../ledger/ledger-source.ts'
import { locateLedger } from '../ledger/locate-ledger.ts'
import { CommandError } from './command-error.ts'

/** For the help of whatever takes a URL. */
export const passwordNote = `
Others on the machine can see a command and its password: name a file that holds the URL instead, or set
PGPASSWORD. Roots of your own for TLS go into NODE_EXTRA_CA_CERTS.
`

/** What the verbs that read a ledger ask for. */
export interface LedgerOptions {
  readonly ledger?: string
  readonly schema?: string
  readonly config?: string
}

/** @param configMeans What the configuration is read for. */
export function ledgerOptions(command: Command, configMeans: string): Command {
  return command
    .option(
      '--ledger <file or URL>',
      'the ledger, or a copy of it: a file, postgres://…, or a file that holds such a URL; otherwise the one that --config names',
    )
    .option(
      '--schema <name>',
      `schema of the tables in PostgreSQL; otherwise the one that --config names, or ${defaultSchema}`,
    )
    .option('--config <file>', `countersign.yaml (COUNTERSIGN_CONFIG): ${configMeans}`)
}

export interface NamedLedger {
  readonly source: LedgerSource
  /** Absent when it is not named, and something else names the ledger. */
  readonly config?: Config
}

/**
 * The ledger that the options name. The configuration is read where it is named, or where nothing else
 * names the ledger; its roots are trusted from then on.
 *
 * @throws CommandError | EnvironmentError | LedgerDatabaseError that says what to set when they name none.
 */
export async function ledgerNamedBy(options: LedgerOptions): Promise<NamedLedger> {
  const { ledger, schema, config: file } = options
  if (ledger !== undefined && file === undefined) {
    return { source: await sourceAt(ledger, schema ?? defaultSchema) }
  }
  const config = await readConfig(file ?? readEnvironment().configFile)
  trustAlso(config.trust.caFiles)
  const configured = config.ledger
  const schemaThere = configured.kind === 'postgres' ? configured.schema : defaultSchema
  if (ledger !== undefined) {
    return { source: await sourceAt(ledger, schema ?? schemaThere), config }
  }
  if (configured.kind === 'sqlite') return { source: ledgerInFile(configured.file), config }
  const place = { at: configured.at, schema: checkedSchema(schema ?? schemaThere) }
  return { source: ledgerInDatabase(await locateLedger(place)), config }
}

/** What naming a ledger and reading it may come to: its message is one for the operator. */
export const isExpectedOfLedger = (error: unknown): error is Error =>
  error instanceof CommandError ||
  error instanceof EnvironmentError ||
  error instanceof LedgerFileError ||
  error instanceof LedgerDatabaseError

/** The same, and what reading its entries may come to. */
export const isExpectedOfDecisions = (error: unknown): error is Error =>
  isExpectedOfLedger(error) ||
  error instanceof DecidedEntryError ||
  (error instanceof Error && sqliteCode(error) !== undefined)

async function sourceAt(written: string, schema: string): Promise<LedgerSource> {
  return isUrl(written) || (await holdsUrl(written))
    ? ledgerInDatabase(await databaseAt({ option: '--ledger', written }, schema))
    : ledgerInFile(written)
}

/** A ledger's file never begins like a URL. */
async function holdsUrl(file: string): Promise<boolean> {
  const reading = await readTextFile(file)
  return reading.ok && isUrl(reading.text)
}

/**
 * The database of a URL, or of a file that holds one. Its messages do not repeat what was written, as
 * commander's do: there may be a password in it.
 *
 * @throws CommandError | LedgerDatabaseError
 */
export async function databaseAt(
  { option, written }: { readonly option: string; readonly written: string },
  schema: string,
): Promise<LedgerDatabase> {
  const checked = checkedSchema(schema)
  if (!isUrl(written)) return locateLedger({ at: { urlFile: written }, schema: checked })
  const database = parsePostgresUrl(written)
  if (database === undefined) throw new CommandError(`${option} must be ${postgresUrlRule}`)
  return { database, schema: checked }
}

function checkedSchema(schema: string): string {
  if (schemaNameRule.test(schema)) return schema
  throw new CommandError(
    '--schema must be a name of letters, digits and underscores, in lower case',
  )
}

async function readConfig(file: string): Promise<Config> {
  const loaded = await loadConfig(file, systemClock.nowSeconds())
  if (loaded.ok) return loaded.config
  const problems = loaded.problems.map(formatProblem).join('\n')
  throw new CommandError(`name the ledger with --ledger, or mend the configuration\n${problems}`)
}
