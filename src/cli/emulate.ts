import { renameSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { Command, InvalidArgumentError, Option } from 'commander'
import { aborted, stopSignal } from '../base/stop-signal.ts'
import type { Emulator, EmulatorEndpoints, EmulatorOptions } from '../emulator/emulator.ts'

interface EmulateOptions {
  readonly world?: string
  readonly state: string
  readonly randomSeed: number
  readonly controlPort: number
  readonly throttleScale: number
  readonly logLateSeconds: number
  readonly logDisorder: number
  readonly logDuplicates: number
  readonly logShape: 'json-lines' | 'records' | 'array'
  readonly unconfirmed: Readonly<Record<string, unknown>>
}

const example = `
Example:
  $ countersign emulate --state .countersign/emulator --log-late-seconds 30
  $ curl --cacert .countersign/emulator/ca.pem "$(jq -r '.vaults["contoso-hsm"]' .countersign/emulator/emulator.json)/keys"

STATE/emulator.json says where everything is and holds the token of the control interface.
`

export function emulateCommand(): Command {
  return new Command('emulate')
    .description(
      'Starts a small Azure on loopback, with real cryptography and the audit log that Azure would write. ' +
        'Keys are made at start and kept nowhere. Ends on Ctrl-C.',
    )
    .option('--world <file>', 'what exists in it (YAML); a good default is built in')
    .option('--state <folder>', 'gets emulator.json, ca.pem and the logs', '.countersign/emulator')
    .option('--random-seed <n>', 'decides lateness, disorder and fault lotteries', wholeNumber, 1)
    .option('--control-port <port>', 'of the control interface; 0 takes a free one', wholeNumber, 0)
    .option('--throttle-scale <x>', "multiplies every vault's request budget", positiveNumber, 1)
    .option('--log-late-seconds <n>', 'vault records arrive up to so much later', positiveNumber, 0)
    .option('--log-disorder <p>', 'share of vault records that are overtaken', share, 0)
    .option('--log-duplicates <p>', 'share of vault records that arrive twice', share, 0)
    .addOption(
      new Option('--log-shape <shape>', 'how log blobs frame their records')
        .choices(['json-lines', 'records', 'array'])
        .default('json-lines'),
    )
    .option(
      '--unconfirmed <name=value...>',
      'how to behave where nobody knows what Azure does; docs/emulator.md lists the switches',
      collectSwitch,
      {},
    )
    .addHelpText('after', example)
    .action(async (options: EmulateOptions, command: Command) => {
      await emulate(options, command)
    })
}

async function emulate(options: EmulateOptions, command: Command): Promise<void> {
  const stateFolder = resolve(options.state)
  const ended = aborted(stopSignal())
  // What goes wrong here is in the seed file, an option or a port: the message says so, a stack would not.
  const emulator = await start(options, stateFolder).catch((error: unknown) =>
    command.error(`emulate: ${error instanceof Error ? error.message : String(error)}`),
  )
  const readyFile = join(stateFolder, 'emulator.json')
  writeReadyFile(readyFile, emulator.endpoints)
  console.log(summaryOf(emulator.endpoints, readyFile))
  console.log('ready')
  await ended
  rmSync(readyFile, { force: true })
  await emulator.close()
}

/** Holds the control token, so it is its owner's alone; whole as soon as it is there, for who waits for it. */
function writeReadyFile(file: string, endpoints: EmulatorEndpoints): void {
  const unfinished = `${file}.${process.pid}`
  writeFileSync(unfinished, `${JSON.stringify(endpoints, null, 2)}\n`, { mode: 0o600 })
  renameSync(unfinished, file)
}

async function start(options: EmulateOptions, stateFolder: string): Promise<Emulator> {
  const { defaultWorldFile, readWorld } = await import('../emulator/world.ts')
  const { startEmulator } = await import('../emulator/emulator.ts')
  const world = readWorld(options.world ?? defaultWorldFile)
  return startEmulator({ world, stateFolder, ...emulatorOptionsFrom(options) })
}

const emulatorOptionsFrom = (
  options: EmulateOptions,
): Omit<EmulatorOptions, 'world' | 'stateFolder'> => ({
  randomSeed: options.randomSeed,
  controlPort: options.controlPort,
  throttleScale: options.throttleScale,
  vaultLog: {
    shape: options.logShape,
    lateSecondsMax: options.logLateSeconds,
    disorder: options.logDisorder,
    duplicates: options.logDuplicates,
  },
  unconfirmed: options.unconfirmed,
})

/** The endpoints as lines of name and value; the control token stays in the file. */
export function summaryOf(endpoints: EmulatorEndpoints, readyFile: string): string {
  const rows = [
    ['Entra ID', endpoints.authority],
    ...Object.entries(endpoints.vaults).map(([name, url]) => [`vault ${name}`, url]),
    ...Object.entries(endpoints.issuers).map(([name, url]) => [`issuer ${name}`, url]),
    // One endpoint for all of them; which one a program is, its header in the file decides.
    ...Object.values(endpoints.managedIdentities)
      .slice(0, 1)
      .map(({ endpoint }) => ['managed identity', endpoint]),
    ['sample resource', endpoints.sampleResource],
    ...Object.entries(endpoints.eventHubs).map(([name, url]) => [`event hub of ${name}`, url]),
    ['resource manager', endpoints.resourceManager],
    ['logs ingestion', endpoints.logsIngestion],
    ['logs query', endpoints.logsQuery],
    ['vault log', endpoints.vaultLogFolder],
    ['Entra logs', endpoints.entraLogFolder],
    ['control', endpoints.control.origin],
    ['trust', endpoints.caFile],
    ['all of it', readyFile],
  ] as const
  const width = Math.max(...rows.map(([name = '']) => name.length))
  return rows.map(([name = '', value = '']) => `${name.padEnd(width)}  ${value}`).join('\n')
}

function wholeNumber(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('a whole number, please')
  return Number(text)
}

function positiveNumber(text: string): number {
  const value = Number(text)
  if (text === '' || !Number.isFinite(value) || value < 0) {
    throw new InvalidArgumentError('a number that is not negative, please')
  }
  return value
}

function share(text: string): number {
  const value = positiveNumber(text)
  if (value > 1) throw new InvalidArgumentError('a number between 0 and 1, please')
  return value
}

function collectSwitch(
  text: string,
  collected: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  const [name = '', value] = text.split(/=(.*)/s)
  if (value === undefined) throw new InvalidArgumentError('NAME=VALUE, please')
  return { ...collected, [name]: /^\d+$/.test(value) ? Number(value) : value }
}
