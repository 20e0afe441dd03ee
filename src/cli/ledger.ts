import { realpath } from 'node:fs/promises'
import { Command } from 'commander'
import { isoTimeFrom, systemClock } from '../base/clock.ts'
import { defaultSchema, postgresName } from '../base/postgres-url.ts'
import { readExportedUpTo } from '../custody/file-export-cursor.ts'
import { ExportError } from '../custody/log-destination.ts'
import type { ChainFault } from '../ledger/chain.ts'
import type { LedgerDatabase } from '../ledger/ledger-database.ts'
import type { ExportedUpTo } from '../ledger/exported-up-to.ts'
import type { HeldChain, Move } from '../ledger/move-ledger.ts'
import { moveText } from '../ledger/move-mark.ts'
import { CommandError } from './command-error.ts'
import { databaseAt, isExpectedOfLedger, passwordNote } from './ledger-options.ts'
import { exportCommand, exportExample } from './ledger-export.ts'
import { pruneCommand, pruneExample } from './ledger-prune.ts'
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
  Exported: up to entry 1198, and whoever exports entries goes on behind it.
  ./countersign.db takes no more entries, and can be read. Keep it: it is evidence.

The chain is verified on the way, and all of it arrives or nothing, with what is revoked, what caller tokens were
used for, and how far entries were exported. No service opens the file for writing from then on. A move that was
interrupted is finished by the same command.
`

export function ledgerCommand(): Command {
  return new Command('ledger')
    .description(
      'Verifies, shows, exports or prunes a ledger, prepares one in PostgreSQL, or moves one there from a file.',
    )
    .addCommand(prepareCommand())
    .addCommand(migrateCommand())
    .addCommand(verifyCommand())
    .addCommand(showCommand())
    .addCommand(exportCommand())
    .addCommand(pruneCommand())
    .addHelpText(
      'after',
      prepareExample + migrateExample + verifyExample + showExample + exportExample + pruneExample,
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
      'Moves the ledger of a file into an empty one in PostgreSQL, with its chain intact. The file can be read from then on, and takes no more entries.',
    )
    .addHelpText('after', migrateExample + passwordNote)
    .action((options: Target & { readonly from: string }, command: Command) =>
      orSayWhy(command, () => migrate(options.from, options)),
    )
}

async function migrate(from: string, options: Target): Promise<void> {
  const target = await locate(options)
  const { moveLedger } = await import('../ledger/move-ledger.ts')
  const move = await moveLedger(from, target, {
    readExportedUpTo: () => exportedUpToOf(from),
    clock: systemClock,
  })
  if (move.moved !== true) throw new CommandError(whyNot(from, nameOf(target), move))
  console.log(sideOf('source', from, move.source))
  console.log(sideOf('target', nameOf(target), move.target))
  console.log(
    move.when === 'before'
      ? 'Nothing was copied: the target holds the source.'
      : exportedText(from, move.exportedUpTo),
  )
  console.log(`${from} takes no more entries, and can be read. Keep it: it is evidence.`)
}

/**
 * Beside the path that was named, or beside the file itself: the service may name it by another one. Without it all
 * of them would be sent again, and nobody would have been asked.
 */
async function exportedUpToOf(from: string): Promise<ExportedUpTo | undefined> {
  const beside = await exportedUpToIn(`${from}-exported`)
  const file = await realpath(from)
  return beside ?? (file === from ? undefined : exportedUpToIn(`${file}-exported`))
}

async function exportedUpToIn(file: string): Promise<ExportedUpTo | undefined> {
  try {
    return await readExportedUpTo(file)
  } catch (error) {
    if (!(error instanceof ExportError)) throw error
    throw new CommandError(
      `nothing was moved: ${file}, which says how far entries were exported, cannot be read`,
    )
  }
}

const exportedText = (from: string, exportedUpTo: ExportedUpTo | undefined) =>
  exportedUpTo === undefined
    ? `Exported: nothing, as no ${from}-exported says otherwise: whoever exports entries begins with the first.`
    : `Exported: up to entry ${exportedUpTo.sequence}, and whoever exports entries goes on behind it.`

function whyNot(from: string, to: string, move: Exclude<Move, { readonly moved: true }>): string {
  if (move.moved === 'unknown') {
    return `whether ${to} holds the ledger now is not known (${move.cause.message}): run this again, which finishes it. Until then ${from} takes no entries`
  }
  switch (move.why) {
    case 'target-not-empty':
      return `nothing was moved: ${to} does not hold the last entry of ${from}, goes up to entry ${move.tip.sequence}, and must be empty`
    case 'target-began-anew':
      return `nothing was moved: ${to} ${beganAnewText(from, move)}`
    case 'source-moved':
      return `nothing was moved: ${to} is empty, and ${moveText(from, move.mark)}`
    case 'source-broken':
      return `nothing was moved: the chain of ${from} is broken ${placeOf(move.fault)} (intact up to entry ${move.intactUpTo.sequence})`
  }
}

const beganAnewText = (
  from: string,
  { tip, mark }: Extract<Move, { readonly why: 'target-began-anew' }>,
) =>
  `has a history of its own, up to entry ${tip.sequence}, without the last entry of ${from}: a service was started there before the move that began on ${isoTimeFrom(mark.atMs)} was finished. Stop the services, keep a copy of it as evidence, drop its schema ${mark.to.schema}, and run this again`

const sideOf = (side: string, name: string, chain: HeldChain) =>
  `${side}  ${name}: ${entriesText(chain)}, tip ${Buffer.from(chain.hash).toString('hex')}`

const entriesText = ({ sequence, prunedUpTo }: HeldChain) =>
  prunedUpTo === 0
    ? `${sequence} entries`
    : `${sequence - prunedUpTo} entries, from ${prunedUpTo + 1} to ${sequence}`

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
