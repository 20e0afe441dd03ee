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
import { behindExports, sourceOf } from '../ledger/ledger-source.ts'
import type { KeptLedger, LedgerSource } from '../ledger/ledger-source.ts'
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
  /** Exports of what was pruned, oldest first; absent where nothing is put before the ledger. */
  readonly pruned?: readonly string[]
}

/** For verbs that look at what came before, too. */
export const prunedOption = (command: Command): Command =>
  command.option(
    '--pruned <file...>',
    'what ledger prune has exported, oldest first: read before the ledger',
  )

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
  /** Of the ledger itself, whatever is read before it. */
  readonly kept: KeptLedger
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
  const named = await keptLedger(options)
  const source = sourceOf(named.kept)
  const { pruned } = options
  return { ...named, source: pruned === undefined ? source : behindExports(pruned, source) }
}

async function keptLedger(options: LedgerOptions): Promise<Omit<NamedLedger, 'source'>> {
  const { ledger, schema, config: file } = options
  if (ledger !== undefined && file === undefined) {
    return { kept: await keptAt(ledger, schema ?? defaultSchema) }
  }
  const config = await configNamedBy(file ?? readEnvironment().configFile)
  const configured = config.ledger
  const schemaThere = configured.kind === 'postgres' ? configured.schema : defaultSchema
  if (ledger !== undefined) {
    return { kept: await keptAt(ledger, schema ?? schemaThere), config }
  }
  if (configured.kind === 'sqlite') return { kept: { in: 'file', file: configured.file }, config }
  const place = { at: configured.at, schema: checkedSchema(schema ?? schemaThere) }
  return { kept: { in: 'database', ledger: await locateLedger(place) }, config }
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

export async function keptAt(written: string, schema: string): Promise<KeptLedger> {
  return isUrl(written) || (await holdsUrl(written))
    ? { in: 'database', ledger: await databaseAt({ option: '--ledger', written }, schema) }
    : { in: 'file', file: written }
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

/** Its roots are trusted from then on. @throws CommandError with all its problems. */
export async function configNamedBy(file: string): Promise<Config> {
  const loaded = await loadConfig(file, systemClock.nowSeconds())
  if (loaded.ok) {
    trustAlso(loaded.config.trust.caFiles)
    return loaded.config
  }
  const problems = loaded.problems.map(formatProblem).join('\n')
  throw new CommandError(`name the ledger with --ledger, or mend the configuration\n${problems}`)
}
