import { Command } from 'commander'
import { defaultSchema, postgresName } from '../base/postgres-url.ts'
import type { ChainFault, Link } from '../ledger/chain.ts'
import type { LedgerDatabase } from '../ledger/ledger-database.ts'
import { CommandError } from './command-error.ts'
import { databaseAt, isExpectedOfLedger, passwordNote } from './ledger-options.ts'
import { exportCommand, exportExample } from './ledger-export.ts'
import { showCommand, showExample } from './ledger-show.ts'
import { verifyCommand, verifyExample } from './ledger-verify.ts'

const prepareExample = `
Example, once for each release that adds to the tables, as a role that may make them:
  $ countersign ledger prepare --to postgres://owner@db.contoso.example/ledger
`

const migrateExample = `
Example, after the service was stopped:
  $ countersign ledger migrate --from ./countersign.db --to postgres://countersign@db.contoso.example/ledger
  source  ./countersign.db: 1204 entries, tip 5f3c…
  target  postgres://db.contoso.example:5432/ledger: 1204 entries, tip 5f3c…

The chain is verified on the way, and all of it arrives or nothing. Keep the file: it is evidence.
`

export function ledgerCommand(): Command {
  return new Command('ledger')
    .description('Prepares a ledger in PostgreSQL, moves one there from a file, or verifies one.')
    .addCommand(prepareCommand())
    .addCommand(migrateCommand())
    .addCommand(verifyCommand())
    .addCommand(showCommand())
    .addCommand(exportCommand())
    .addHelpText(
      'after',
      prepareExample + migrateExample + verifyExample + showExample + exportExample,
    )
}

interface Target {
  readonly to: string
  readonly schema: string
}

const toDatabase = (command: Command) =>
  command
    .requiredOption('--to <URL or file>', 'postgres://…, or a file that holds such a URL')
    .option('--schema <name>', 'schema of the tables', defaultSchema)

function prepareCommand(): Command {
  return toDatabase(new Command('prepare'))
    .summary('make or extend the tables')
    .description('Makes the tables of a ledger, or extends those of an earlier release.')
    .addHelpText('after', prepareExample + passwordNote)
    .action((target: Target, command: Command) =>
      orSayWhy(command, async () => {
        const ledger = await locate(target)
        const { prepareLedger } = await import('../ledger/prepare-ledger.ts')
        const version = await prepareLedger(ledger)
        console.log(`${nameOf(ledger)} is prepared: its tables are of version ${version}.`)
      }),
    )
}

function migrateCommand(): Command {
  return toDatabase(new Command('migrate'))
    .requiredOption('--from <file>', 'the ledger of a service that has stopped')
    .summary('move the ledger of a file into an empty one in PostgreSQL')
    .description(
      'Moves the ledger of a file into an empty one in PostgreSQL, with its chain intact.',
    )
    .addHelpText('after', migrateExample + passwordNote)
    .action((options: Target & { readonly from: string }, command: Command) =>
      orSayWhy(command, () => migrate(options.from, options)),
    )
}

async function migrate(from: string, options: Target): Promise<void> {
  const target = await locate(options)
  const { moveLedger } = await import('../ledger/move-ledger.ts')
  const move = await moveLedger(from, target)
  if (move.moved) {
    console.log(sideOf('source', from, move.source))
    console.log(sideOf('target', nameOf(target), move.target))
    return
  }
  if (move.why === 'target-not-empty') {
    throw new CommandError(
      `nothing was moved: ${nameOf(target)} has ${move.tip.sequence} entries, and must be empty`,
    )
  }
  throw new CommandError(
    `nothing was moved: the chain of ${from} is broken ${placeOf(move.fault)} (intact up to entry ${move.intactUpTo.sequence})`,
  )
}

const sideOf = (side: string, name: string, { sequence, hash }: Link) =>
  `${side}  ${name}: ${sequence} entries, tip ${Buffer.from(hash).toString('hex')}`

const placeOf = (fault: ChainFault) =>
  fault.fault === 'sequence'
    ? `at entry ${fault.sequence}, where ${fault.expected} should be`
    : `at entry ${fault.sequence}`

const nameOf = ({ database }: LedgerDatabase) => postgresName(database)

const locate = ({ to, schema }: Target) => databaseAt({ option: '--to', written: to }, schema)

async function orSayWhy(command: Command, act: () => Promise<void>): Promise<void> {
  try {
    await act()
  } catch (error) {
    if (!isExpectedOfLedger(error)) throw error
    command.error(`ledger ${command.name()}: ${error.message}`)
  }
}
