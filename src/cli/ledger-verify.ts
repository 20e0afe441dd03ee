import { inspect } from 'node:util'
import { Command } from 'commander'
import type { LedgerVerdict } from '../custody/ledger-verdict.ts'
import { verifyLedger } from '../custody/verify-ledger.ts'
import { sqliteCode } from '../ledger/ledger-file.ts'
import { findMoveMark } from '../ledger/move-mark.ts'
import { LogError } from '../reconcile/log-error.ts'
import { CommandError } from './command-error.ts'
import { type EvidenceOptions, evidenceOptions, readEvidence } from './evidence-files.ts'
import { isExpectedOfLedger, ledgerOptions, passwordNote, prunedOption } from './ledger-options.ts'
import type { LedgerOptions } from './ledger-options.ts'
import { type NamedRows, rowsNamedBy } from './ledger-rows.ts'
import { readingProgress } from './reading-progress.ts'
import { withSentHeads } from './sent-heads.ts'
import { verdictJson, verdictLines } from './ledger-verdict.ts'

interface VerifyOptions extends LedgerOptions, EvidenceOptions {
  readonly json?: true
}

const exitCodes: Readonly<Record<LedgerVerdict['verdict'], number>> = {
  sound: 0,
  damaged: 1,
  undecided: 2,
}

export const verifyExample = `
Example, also while the service runs:
  $ countersign ledger verify --ledger /var/lib/countersign/countersign.db \\
      --witness /mnt/evidence/witnessed.jsonl --witness-key witness.pem
  SOUND: every entry follows the one before it, and every head and proof that is there fits.
    ledger   /var/lib/countersign/countersign.db
    entries  1204
    tip      1204 5f3c…
    …
    unsealed: 3
  Proven unrewritten up to entry 1201: a witness has seen it, …
`

const exitNote = `
Exits with
  0  it is sound, as far as the evidence goes
  1  it is damaged: the first thing that is wrong is named
  2  it could not be decided or not be read, or an option is wrong
`

export function verifyCommand(): Command {
  return (
    evidenceOptions(
      prunedOption(
        ledgerOptions(
          new Command('verify'),
          'names the ledger, and workspaces that have its heads',
        ),
      ),
    )
      .summary('hold a ledger to its chain, heads, witnesses, anchors and proofs')
      .description(
        'Follows a ledger, or an export of it, to its end or its first damage, and names that. It is only read, and nothing else is reached but the workspaces that --config names among heads.anchors. Of a file that was moved it says where its chain goes on.',
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
    const evidence = await readEvidence(options)
    const ledger = await rowsNamedBy(options)
    // Before the entries: a file that is marked takes no more of them.
    const moved = ledger.kept?.in === 'file' ? findMoveMark(ledger.kept.file) : undefined
    const progress = readingProgress(process.stderr)
    const verdict = await withSentHeads(ledger.config, (workspaces) =>
      orSayUnreadable(ledger, () =>
        verifyLedger(progress.ofLedger(ledger).pages(), {
          ...evidence,
          workspaces,
          ...(moved === undefined ? {} : { moved }),
        }),
      ),
    ).finally(progress.clear)
    const lines =
      options.json === true
        ? [verdictJson(ledger.name, verdict, moved)]
        : verdictLines(ledger.name, verdict, moved)
    for (const line of lines) console.log(line)
    process.exitCode = exitCodes[verdict.verdict]
  } catch (error) {
    // Whatever went wrong, nothing was found: Node's own 1 would say that the ledger is damaged.
    const isExpected = isExpectedOfLedger(error) || error instanceof LogError
    command.error(`ledger verify: ${isExpected ? error.message : inspect(error)}`)
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
