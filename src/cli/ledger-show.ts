import { Command, InvalidArgumentError } from 'commander'
import { isoTimeFrom } from '../base/clock.ts'
import { isObject, type Members } from '../base/json-object.ts'
import { printable } from '../base/printable.ts'
import { entryIn } from '../ledger/attempt-entries.ts'
import type { Row } from '../ledger/chain.ts'
import { exportedLine } from '../ledger/exported-ledger.ts'
import {
  isExpectedOfDecisions,
  ledgerOptions,
  passwordNote,
  prunedOption,
} from './ledger-options.ts'
import type { LedgerOptions } from './ledger-options.ts'
import { rowsNamedBy } from './ledger-rows.ts'

interface ShowOptions extends LedgerOptions {
  readonly from: number
  readonly to: number
  readonly attempt?: string
  readonly kind?: readonly string[]
  readonly caller?: string
  readonly application?: string
  readonly tenant?: string
  readonly json?: true
}

export const showExample = `
Examples:
  $ countersign ledger show --ledger countersign.db --attempt 0198c0de-0000-7000-8000-000000000001
  $ countersign ledger show --ledger countersign.db --from 1000 --to 1100 --kind token.issued --tenant fab00000-…
`

export function showCommand(): Command {
  return prunedOption(ledgerOptions(new Command('show'), 'names the ledger'))
    .summary('show entries of a ledger')
    .description(
      'Shows entries of a ledger, all that are asked for. They are shown as they are stored: ledger verify says whether that is sound.',
    )
    .option('--from <sequence>', 'the first entry to show', parseSequence, 1)
    .option('--to <sequence>', 'the last one', parseSequence, Number.MAX_SAFE_INTEGER)
    .option('--attempt <id>', 'of this attempt, with its signatures and exchanges')
    .option('--kind <kind...>', 'of these kinds, such as token.issued')
    .option('--caller <subject>', 'of the caller with this subject')
    .option('--application <name>', 'of this application')
    .option('--tenant <id>', 'of this tenant')
    .option('--json', 'as ledger export writes them')
    .addHelpText('after', showExample + passwordNote)
    .action(async (options: ShowOptions, command: Command) => {
      try {
        await show(options)
      } catch (error) {
        if (!isExpectedOfDecisions(error)) throw error
        command.error(`ledger show: ${error.message}`)
      }
    })
}

async function show(options: ShowOptions): Promise<void> {
  const isWanted = wanted(options)
  const source = await rowsNamedBy(options)
  for await (const page of source.pages()) {
    for (const row of page) {
      if (row.sequence > options.to) return
      if (row.sequence < options.from) continue
      const entry = entryOf(row)
      if (!isWanted(entry)) continue
      if (options.json === true) process.stdout.write(exportedLine(row))
      else console.log(lineOf(row, entry))
    }
  }
}

/** In their order: what belongs to an attempt by a signature of it is known when that begins. */
function wanted(options: ShowOptions): (entry: Members) => boolean {
  const { attempt, kind, caller, application, tenant } = options
  const signatures = new Set<unknown>()
  const isOfAttempt = (entry: Members) => {
    if (attempt === undefined) return true
    const isIts = entry['attempt'] === attempt || entry['obtainedBy'] === attempt
    if (isIts && entry['signature'] !== undefined) signatures.add(entry['signature'])
    return isIts || signatures.has(entry['signature'])
  }
  const subjectOf = ({ caller: who }: Members) => (isObject(who) ? who['subject'] : undefined)
  return (entry) =>
    isOfAttempt(entry) &&
    (kind === undefined || kind.includes(String(entry['kind']))) &&
    (caller === undefined || subjectOf(entry) === caller) &&
    (application === undefined || entry['application'] === application) &&
    (tenant === undefined || entry['tenant'] === tenant)
}

/** What is no entry is shown too. */
const entryOf = (row: Row): Members =>
  entryIn(row) ?? { kind: 'unreadable', text: Buffer.from(row.canonical).toString() }

const valueMax = 100

function lineOf({ sequence }: Row, { kind, atMs, ...members }: Members): string {
  const time = typeof atMs === 'number' ? isoTimeFrom(atMs) : '-'
  const said = Object.entries(members).map(([name, value]) => `${name}=${valueText(value)}`)
  return [String(sequence).padStart(8), time, printable(String(kind), valueMax), ...said].join('  ')
}

/** Texts of others must not move what is beside them, nor be obeyed by a terminal. */
const valueText = (value: unknown) =>
  printable(typeof value === 'string' ? value : JSON.stringify(value), valueMax)

function parseSequence(text: string): number {
  const sequence = Number(text)
  if (/^\d+$/.test(text) && Number.isSafeInteger(sequence)) return sequence
  throw new InvalidArgumentError('It is not the number of an entry.')
}
