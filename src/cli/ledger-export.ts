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

async function exportLedger(options: ExportOptions): Promise<void> {
  const { after } = options
  const source = await rowsNamedBy(options)
  const lineOf = linesOf(options, source)
  let last = 0
  for await (const page of source.pages()) {
    const text: string[] = []
    for (const row of page) {
      last = row.sequence
      if (row.sequence > after) text.push(lineOf(row))
    }
    if (text.length > 0 && !process.stdout.write(text.join(''))) await once(process.stdout, 'drain')
  }
  if (last < after) {
    throw new CommandError(
      `${source.name} ends at entry ${last}, before entry ${after}: it is another ledger, or an earlier state of this one`,
    )
  }
}

/** Rows of several ledgers meet in one table: one that does not say whose it is would be nobody's there. */
function linesOf(options: ExportOptions, { publicUrl }: NamedRows): (row: Row) => string {
  if (options.format === 'jsonl') return exportedLine
  const deployment = options.deployment ?? publicUrl
  if (deployment === undefined) {
    throw new CommandError(
      '--format azure needs --deployment, the publicUrl of the service, or --config, which says it',
    )
  }
  return (row) => `${JSON.stringify(entryRowFrom(row, deployment))}\n`
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
