import { inspect } from 'node:util'
import { Command } from 'commander'
import { loadWitness } from '../config/witness/load-witness.ts'
import { CommandError } from './command-error.ts'
import { soundConfiguration } from './sound-configuration.ts'

interface WitnessFlags {
  readonly config: string
  readonly check?: true
  readonly once?: true
}

const example = `
Examples, on the auditor's own host:
  $ openssl genpkey -algorithm ed25519 -out witness-key.pem && openssl pkey -in witness-key.pem -pubout -out witness.pem
  $ countersign witness --check
  $ countersign witness --once
  WITNESSED: up to entry 1204 of the ledger 6LZq…, 1 head more; the newest is for entry 1201.

Without --once it looks again and again until SIGTERM; the log goes to standard error, one JSON object a line.
With reconcile.sources in witness.yaml it holds the ledger to Azure's logs too, which it reads itself.
Give witness.pem to whoever verifies: ledger verify --witness FILE --witness-key witness.pem
`

const exitNote = `
Exits, after --once, with
  0  all that is there fits what was seen before, and heads come as they should
  1  an alarm: feed.contradicts, head.contradicts, head.false, feed.silent, logs.silent, reconcile.findings
  2  it could not look, or not to the end: no answer, no right, a key, store or anchor that fails, a wrong option
`

const notStarted = 2

export function witnessCommand(): Command {
  return (
    new Command('witness')
      .description(
        'Follows the ledger of a service for an auditor, signs its heads too, and raises the alarm when it is told another history, or none.',
      )
      .option('--config <file>', 'configuration of the witness', 'witness.yaml')
      .option('--check', 'report every problem of the configuration, and do nothing else')
      .option('--once', 'look once, say what was found, and end: for cron')
      .addHelpText('after', example + exitNote)
      // Commander's own 1 would be an alarm.
      .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : notStarted))
      .action(runWitness)
  )
}

async function runWitness(flags: WitnessFlags, command: Command): Promise<void> {
  const config = await soundConfiguration(flags, loadWitness, command)
  if (flags.check === true) {
    console.log('The configuration is sound.')
    return
  }
  // Checking needs none of what looking does.
  const { lookOnce, keepLooking } = await import('./witness-run.ts')
  try {
    process.exitCode = await (flags.once === true ? lookOnce : keepLooking)(config)
  } catch (error) {
    command.error(`witness: ${error instanceof CommandError ? error.message : inspect(error)}`)
  }
  // A connection that is kept must not keep us.
  process.exit()
}
