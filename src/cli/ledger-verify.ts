import { inspect } from 'node:util'
import { Command } from 'commander'
import type { ChainFault, Link } from '../ledger/chain.ts'
import { sqliteCode } from '../ledger/ledger-file.ts'
import type { LedgerSource } from '../ledger/ledger-source.ts'
import { verifyPages } from '../ledger/verify.ts'
import type { Verification } from '../ledger/verify.ts'
import { CommandError } from './command-error.ts'
import { isExpectedOfLedger, ledgerNamedBy, ledgerOptions, passwordNote } from './ledger-options.ts'
import type { LedgerOptions } from './ledger-options.ts'

const exitCodes = { consistent: 0, broken: 1, unreadable: 2 }

export const verifyExample = `
Example, also while the service runs:
  $ countersign ledger verify --ledger /var/lib/countersign/countersign.db
  CONSISTENT: every entry follows the one before it.
    ledger   /var/lib/countersign/countersign.db
    entries  1204
    tip      1204 5f3c…
  Self-consistent, not proven unrewritten: …
`

const exitNote = `
Exits with
  0  the chain is consistent from its first entry to its last
  1  it is broken: the first entry that does not fit is named
  2  it could not be read, or an option is wrong
`

export function verifyCommand(): Command {
  return (
    ledgerOptions(new Command('verify'), 'names the ledger')
      .summary('follow the chain of a ledger to its end or its first fault')
      .description('Follows the chain of a ledger to its end or its first fault. It is only read.')
      .addHelpText('after', verifyExample + exitNote + passwordNote)
      // Commander's own 1 would say that the chain is broken.
      .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : exitCodes.unreadable))
      .action(runVerify)
  )
}

async function runVerify(options: LedgerOptions, command: Command): Promise<void> {
  try {
    const { source } = await ledgerNamedBy(options)
    const verification = await verify(source)
    for (const line of linesOf(source.name, verification)) console.log(line)
    process.exitCode = verification.ok ? exitCodes.consistent : exitCodes.broken
  } catch (error) {
    // Whatever went wrong, nothing was found: Node's own 1 would say that the chain is broken.
    command.error(`ledger verify: ${isExpectedOfLedger(error) ? error.message : inspect(error)}`)
  }
}

/** @throws CommandError for a damaged page of a file, besides what the source throws. */
async function verify(source: LedgerSource): Promise<Verification> {
  try {
    return await verifyPages(source.pages())
  } catch (error) {
    if (!(error instanceof Error) || sqliteCode(error) === undefined) throw error
    throw new CommandError(`${source.name} cannot be read to its end: ${error.message}`)
  }
}

const linesOf = (name: string, verification: Verification): readonly string[] =>
  verification.ok
    ? [
        'CONSISTENT: every entry follows the one before it.',
        `  ledger   ${name}`,
        `  entries  ${verification.tip.sequence}`,
        `  tip      ${linkText(verification.tip)}`,
        'Self-consistent, not proven unrewritten: compare the tip with a copy of it that was kept where the service cannot reach.',
      ]
    : [
        `BROKEN: ${faultText(verification.fault)}.`,
        `  ledger   ${name}`,
        `  intact   up to ${linkText(verification.intactUpTo)}`,
      ]

const linkText = ({ sequence, hash }: Link) => `${sequence} ${Buffer.from(hash).toString('hex')}`

function faultText(fault: ChainFault): string {
  const { sequence } = fault
  if (fault.fault === 'hash') return `entry ${sequence}, or one before it, is not what was written`
  return sequence > fault.expected
    ? `entry ${sequence} stands where ${fault.expected} should be: what was between is missing`
    : `entry ${sequence} stands where ${fault.expected} should be: it is one too many`
}
