import { once } from 'node:events'
import { Command, InvalidArgumentError, Option } from 'commander'
import { azureRow } from '../custody/azure-row.ts'
import type { Row } from '../ledger/chain.ts'
import { exportedLine } from '../ledger/exported-ledger.ts'
import { CommandError } from './command-error.ts'
import { isExpectedOfDecisions, ledgerOptions, passwordNote } from './ledger-options.ts'
import type { LedgerOptions } from './ledger-options.ts'
import { rowsNamedBy } from './ledger-rows.ts'

const formats = ['jsonl', 'azure'] as const
type Format = (typeof formats)[number]

interface ExportOptions extends LedgerOptions {
  readonly after: number
  readonly format: Format
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
      'Writes a ledger to standard output as JSON Lines: entries as they were hashed, for ledger verify and for any other program, or one flat row each for Log Analytics. It is only read, and not verified.',
    )
    .option('--after <sequence>', 'the entries behind this one alone', parseSequence, 0)
    .addOption(
      new Option(
        '--format <format>',
        'jsonl: what ledger verify reads; azure: rows for Logs Ingestion',
      )
        .choices(formats)
        .default('jsonl'),
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
  const { after, format } = options
  const source = await rowsNamedBy(options)
  const lines = linesOf(format)
  let last = 0
  for await (const page of source.pages()) {
    const text: string[] = []
    for (const row of page) {
      last = row.sequence
      const line = lines(row)
      if (row.sequence > after) text.push(line)
    }
    if (text.length > 0 && !process.stdout.write(text.join(''))) await once(process.stdout, 'drain')
  }
  if (last < after) {
    throw new CommandError(
      `${source.name} ends at entry ${last}, before entry ${after}: it is another ledger, or an earlier state of this one`,
    )
  }
}

function linesOf(format: Format): (row: Row) => string {
  if (format === 'jsonl') return exportedLine
  let ledger: string | undefined
  return (row) => {
    ledger ??= Buffer.from(row.hash).toString('base64url')
    return `${JSON.stringify(azureRow(ledger, row))}\n`
  }
}

function parseSequence(text: string): number {
  const sequence = Number(text)
  if (/^\d+$/.test(text) && Number.isSafeInteger(sequence)) return sequence
  throw new InvalidArgumentError('It is not the number of an entry.')
}
