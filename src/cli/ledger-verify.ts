import { inspect } from 'node:util'
import { Command } from 'commander'
import { type LedgerVerdict, verifyLedger } from '../custody/verify-ledger.ts'
import { sqliteCode } from '../ledger/ledger-file.ts'
import { CommandError } from './command-error.ts'
import { readCertificate, readHeadKey } from './evidence-files.ts'
import { isExpectedOfLedger, ledgerOptions, passwordNote } from './ledger-options.ts'
import type { LedgerOptions } from './ledger-options.ts'
import { type NamedRows, rowsNamedBy } from './ledger-rows.ts'
import { verdictJson, verdictLines } from './ledger-verdict.ts'

interface VerifyOptions extends LedgerOptions {
  readonly headKey?: readonly string[]
  readonly anchor?: readonly string[]
  readonly certificate?: readonly string[]
  readonly json?: true
}

const exitCodes: Readonly<Record<LedgerVerdict['verdict'], number>> = {
  sound: 0,
  damaged: 1,
  undecided: 2,
}

export const verifyExample = `
Example, also while the service runs:
  $ countersign ledger verify --ledger /var/lib/countersign/countersign.db --anchor /mnt/evidence/heads.jsonl
  SOUND: every entry follows the one before it, and every head and proof that is there fits.
    ledger   /var/lib/countersign/countersign.db
    entries  1204
    tip      1204 5f3c…
    …
    unsealed: 3
  Proven unrewritten up to entry 1201, …
`

const exitNote = `
Exits with
  0  it is sound, as far as the evidence goes
  1  it is damaged: the first thing that is wrong is named
  2  it could not be decided or not be read, or an option is wrong
`

export function verifyCommand(): Command {
  return (
    ledgerOptions(new Command('verify'), 'names the ledger')
      .summary('hold a ledger to its chain, heads, anchors and proofs')
      .description(
        'Follows a ledger, or an export of it, to its end or its first damage, and names that. It is only read, and nothing else is reached.',
      )
      .option('--anchor <file...>', 'heads that were kept elsewhere, as JSON Lines')
      .option(
        '--head-key <file...>',
        'public keys of the heads (PEM or JWK), instead of those on record',
      )
      .option(
        '--certificate <file...>',
        'certificates of the proofs (PEM or DER), instead of those on record',
      )
      .option('--json', 'the verdict for programs')
      .addHelpText('after', verifyExample + exitNote + passwordNote)
      // Commander's own 1 would say that the ledger is damaged.
      .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : exitCodes.undecided))
      .action(runVerify)
  )
}

async function runVerify(options: VerifyOptions, command: Command): Promise<void> {
  try {
    const evidence = {
      headKeys: await Promise.all((options.headKey ?? []).map(readHeadKey)),
      certificates: await Promise.all((options.certificate ?? []).map(readCertificate)),
      anchors: options.anchor ?? [],
    }
    const ledger = await rowsNamedBy(options)
    const verdict = await orSayUnreadable(ledger, () =>
      verifyLedger(ledger.pages(), evidence, showProgress()),
    )
    const lines =
      options.json === true
        ? [verdictJson(ledger.name, verdict)]
        : verdictLines(ledger.name, verdict)
    for (const line of lines) console.log(line)
    process.exitCode = exitCodes[verdict.verdict]
  } catch (error) {
    // Whatever went wrong, nothing was found: Node's own 1 would say that the ledger is damaged.
    command.error(`ledger verify: ${isExpectedOfLedger(error) ? error.message : inspect(error)}`)
  }
}

/** @throws CommandError for a damaged page of a file, or a file that cannot be read; and what the ledger throws. */
async function orSayUnreadable<T>({ name }: NamedRows, act: () => Promise<T>): Promise<T> {
  try {
    return await act()
  } catch (error) {
    if (!(error instanceof Error)) throw error
    if (sqliteCode(error) !== undefined) {
      throw new CommandError(`${name} cannot be read to its end: ${error.message}`)
    }
    // Of an anchor or an export; the system's own words name the file.
    if ('syscall' in error) throw new CommandError(error.message)
    throw error
  }
}

/** Of a small ledger nobody waits for the end. */
const progressEvery = 100_000

/** For who looks at a terminal, in one line that ends when there is something else to say. */
function showProgress(): (entries: number) => void {
  if (!process.stderr.isTTY) return () => undefined
  let said = 0
  return (entries) => {
    if (entries - said < progressEvery) return
    said = entries
    process.stderr.write(`\r${entries} entries\u001b[K\r`)
  }
}
