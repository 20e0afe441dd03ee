import { once } from 'node:events'
import { Command, InvalidArgumentError, Option } from 'commander'
import { parsePublicUrl } from '../config/config-form.ts'
import { entryRowFrom } from '../custody/entry-row.ts'
import type { Row } from '../ledger/chain.ts'
import { exportedLine } from '../ledger/exported-ledger.ts'
import { CommandError } from './command-error.ts'
import { isExpectedOfDecisions, ledgerOptions, passwordNote } from './ledger-options.ts'
import type { LedgerOptions } from './ledger-options.ts'
import { type NamedRows, rowsNamedBy } from './ledger-rows.ts'
import { readingProgress } from './reading-progress.ts'

const formats = ['jsonl', 'azure'] as const
type Format = (typeof formats)[number]

interface ExportOptions extends LedgerOptions {
  readonly after: number
  readonly format: Format
  /** In place of `publicUrl`. */
  readonly deployment?: string
}

export const exportExample = `
Example, and later what has come since entry 1204:
  $ countersign ledger export --ledger /var/lib/countersign/countersign.db > ledger.jsonl
  $ countersign ledger export --ledger /var/lib/countersign/countersign.db --after 1204 >> ledger.jsonl
  $ countersign ledger verify --ledger ledger.jsonl
`

export function exportCommand(): Command {
  return ledgerOptions(new Command('export'), 'names the ledger')
    .summary('write a ledger as JSON Lines')
    .description(
      'Writes a ledger to standard output as JSON Lines: entries as they were hashed, for ledger verify and for any other program, or the rows that the service sends to Log Analytics. It is only read, and not verified.',
    )
    .option('--after <sequence>', 'the entries behind this one alone', parseSequence, 0)
    .addOption(
      new Option(
        '--format <format>',
        'jsonl: what ledger verify reads; azure: rows of the table of deploy/azure-monitor',
      )
        .choices(formats)
        .default('jsonl'),
    )
    .option(
      '--deployment <URL>',
      'azure: whose rows they are, by publicUrl; otherwise that of the configuration, when --config names one',
      parseDeployment,
    )
    .addHelpText('after', exportExample + passwordNote)
    .action(async (options: ExportOptions, command: Command) => {
      try {
        await exportLedger(options)
      } catch (error) {
        if (!isExpectedOfDecisions(error)) throw error
        command.error(`ledger export: ${error.message}`)
      }
    })
}

const nobody = { isTTY: false, write: () => true }

/** Lines that are in memory at a time. */
const portionRows = 1000

async function exportLedger(options: ExportOptions): Promise<void> {
  const { after } = options
  const source = await rowsNamedBy(options)
  const lineOf = linesOf(options, source)
  // What is written to a terminal shows by itself how far it is.
  const progress = readingProgress(process.stdout.isTTY ? nobody : process.stderr)
  let last = 0
  let lines: string[] = []
  try {
    for await (const page of progress.ofLedger(source).pages()) {
      // A page may be all of the ledger, read as it is asked for.
      for (const row of page) {
        last = row.sequence
        if (row.isCut === true && after > 0 && last > after) throw prunedSince(after, last, source)
        if (row.sequence > after) lines.push(lineOf(row))
        if (lines.length < portionRows) continue
        await write(lines)
        lines = []
      }
    }
    await write(lines)
  } finally {
    progress.clear()
  }
  if (last < after) {
    throw new CommandError(
      `${source.name} ends at entry ${last}, before entry ${after}: it is another ledger, or an earlier state of this one`,
    )
  }
}

async function write(lines: readonly string[]): Promise<void> {
  if (lines.length > 0 && !process.stdout.write(lines.join(''))) await once(process.stdout, 'drain')
}

/** Behind what was exported before, nobody could tell any more that what is left follows it. */
const prunedSince = (after: number, upTo: number, { name }: NamedRows) =>
  new CommandError(
    `${name} was pruned since: entries ${after + 1} to ${upTo} are not in it any more. Export it anew, without --after and to another file; --after ${upTo} is what is left without what stands for them`,
  )

/** Rows of several ledgers meet in one table: one that does not say whose it is would be nobody's there. */
function linesOf(options: ExportOptions, { config }: NamedRows): (row: Row) => string {
  if (options.format === 'jsonl') return exportedLine
  const deployment = options.deployment ?? config?.publicUrl
  if (deployment === undefined) {
    throw new CommandError(
      '--format azure needs --deployment, the publicUrl of the service, or --config, which says it',
    )
  }
  return (row) => (row.isCut === true ? '' : `${JSON.stringify(entryRowFrom(row, deployment))}\n`)
}

function parseDeployment(text: string): string {
  const publicUrl = parsePublicUrl(text)
  if (publicUrl !== undefined) return publicUrl
  throw new InvalidArgumentError('It is not an origin such as https://countersign.contoso.example.')
}

function parseSequence(text: string): number {
  const sequence = Number(text)
  if (/^\d+$/.test(text) && Number.isSafeInteger(sequence)) return sequence
  throw new InvalidArgumentError('It is not the number of an entry.')
}
