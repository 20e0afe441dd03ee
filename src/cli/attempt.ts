import { inspect } from 'node:util'
import { Argument, Command, InvalidArgumentError } from 'commander'
import { z } from 'zod'
import { isoTimeFrom, systemClock } from '../base/clock.ts'
import { parseAttemptId } from '../base/ids.ts'
import type { AzureLog } from '../base/azure-log.ts'
import { printable } from '../base/printable.ts'
import type { Config } from '../config/config.ts'
import { readEnvironment, readSecrets } from '../config/environment.ts'
import { attemptEntries, entryIn, type EntrySearch, namesOneOf } from '../ledger/attempt-entries.ts'
import type { Row } from '../ledger/chain.ts'
import type { JoinedBy, StoryEntry, StoryEvent } from '../reconcile/attempt-event.ts'
import { type AttemptStory, attemptStory, type NotFound } from '../reconcile/attempt-story.ts'
import { configuredExpect, configuredIdentity, openLogs } from '../reconciling.ts'
import { createRedaction } from '../telemetry/redaction.ts'
import { CommandError } from './command-error.ts'
import {
  isExpectedOfDecisions,
  ledgerOptions,
  passwordNote,
  prunedOption,
} from './ledger-options.ts'
import type { LedgerOptions } from './ledger-options.ts'
import { type NamedRows, rowsNamedBy } from './ledger-rows.ts'
import { readingProgress } from './reading-progress.ts'
import { logsNamedBy, type LogOptions } from './reconcile-request.ts'
import { askedService, type ServiceOptions, serviceOptions } from './request-options.ts'
import { askService } from './service-client.ts'

interface AttemptOptions extends LedgerOptions, LogOptions, ServiceOptions {
  readonly json?: true
}

const example = `
Examples, with the ledger at hand, and with a caller token whose grant says "may: [{ audit: read }]":
  $ countersign attempt 0198c0de-0000-7000-8000-000000000001 --ledger countersign.db --vault-log vault-log --signin-log sign-ins
  $ countersign attempt 0198c0de-0000-7000-8000-000000000001 --url https://countersign.contoso.example --token-file auditor.jwt

A caller finds the id of its attempt in the header countersign-attempt of every answer. What the ledger has is joined
to the records of others by the ids that both sides have: the vault's x-ms-request-id, or the nonce of the signature
where no answer told that; Entra's trace id, the uti of the token, or the client-request-id. Changes of the application in
the directory stand beside it. The logs are those of reconcile.sources of the configuration, or those that options name
in place of them all. It is shown as it is stored: ledger verify says whether that is sound.

Exits with
  0  the ledger knows the attempt
  1  it does not
  2  something could not be read: a ledger, log or service that is not there, a wrong option
`

export function attemptCommand(): Command {
  const command = ledgerOptions(new Command('attempt'), 'names the ledger, and the logs')
  return serviceOptions(prunedOption(command))
    .description('Tells the story of one attempt from all logs, in the order of time.')
    .addArgument(new Argument('<id>', 'of the attempt').argParser(parseId))
    .option('--vault-log <path...>', "Key Vault's audit log, as reconcile takes it")
    .option('--signin-log <path...>', "Entra's sign-ins of service principals, likewise")
    .option('--audit-log <path...>', "Entra's directory audits, likewise")
    .option('--json', 'for programs')
    .addHelpText('after', example + passwordNote)
    .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : 2))
    .action(async (id: string, options: AttemptOptions, command: Command) => {
      try {
        process.exitCode = await tell(id, options)
      } catch (error) {
        const isExpected = isExpectedOfDecisions(error)
        // Asking the service fails in one sentence, which may repeat what somebody else has said.
        const isOfService = options.url !== undefined && error instanceof Error
        const text = isExpected || isOfService ? error.message : inspect(error)
        command.error(`attempt: ${createRedaction(readSecrets())(text)}`)
      }
    })
}

async function tell(id: string, options: AttemptOptions): Promise<number> {
  const known = await entriesOf(id, options)
  const story = await storyFrom(id, known, options)
  const whole = { ledger: known.name, complete: known.complete, ...story }
  if (options.json === true) console.log(JSON.stringify(whole))
  else for (const line of storyLines(whole)) console.log(line)
  if (story.notRead.length > 0) return 2
  return story.events.length > 0 ? 0 : 1
}

async function storyFrom(
  id: string,
  { entries, config }: KnownEntries,
  options: AttemptOptions,
): Promise<AttemptStory> {
  const clientId = readEnvironment().identityClientId
  const identity = config && configuredIdentity(config, clientId)
  const logs = await openLogs(logsNamedBy(options, config), identity, systemClock)
  const progress = readingProgress(process.stderr)
  try {
    return await attemptStory(id, entries, {
      sources: progress.ofLogs(logs.sources),
      ...(config && { applications: config.applications, expect: configuredExpect(config) }),
    })
  } finally {
    progress.clear()
    await logs.close()
  }
}

interface KnownEntries {
  /** Of the ledger. */
  readonly name: string
  readonly entries: readonly StoryEntry[]
  /** Whether all of it was looked at that could matter. */
  readonly complete: boolean
  /** Absent when it is not named. */
  readonly config?: Config
}

async function entriesOf(id: string, options: AttemptOptions): Promise<KnownEntries> {
  const { url, ledger, config, pruned } = options
  if (url === undefined) return entriesInLedger(id, await rowsNamedBy(options))
  if (ledger === undefined && config === undefined && pruned === undefined) {
    return entriesOfService(id, options)
  }
  throw new CommandError('give either --url, or the ledger by --ledger or --config')
}

async function entriesInLedger(id: string, source: NamedRows): Promise<KnownEntries> {
  const { rows, complete } = await attemptEntries(id, wholeSearch(source), systemClock.nowMs())
  const entries = rows.flatMap((row) => {
    const entry = entryIn(row)
    return entry === undefined ? [] : [{ sequence: row.sequence, entry }]
  })
  const { name, config } = source
  return { name, entries, complete, ...(config && { config }) }
}

/** Reads the ledger from end to end each time, so that no clock can hide an entry. */
const wholeSearch = (source: NamedRows): EntrySearch => ({
  rowsNaming: async (wanted) => {
    const isWanted = namesOneOf([...new Set(wanted.map(({ id }) => id))])
    const rows: Row[] = []
    for await (const page of source.pages()) {
      for (const row of page) if (isWanted(row)) rows.push(row)
    }
    return { rows, complete: true }
  },
})

const storyAnswer = z.object({
  entries: z.array(z.object({ sequence: z.number(), entry: z.record(z.string(), z.unknown()) })),
  complete: z.boolean(),
})

async function entriesOfService(id: string, options: AttemptOptions): Promise<KnownEntries> {
  const service = await askedService(options, readEnvironment().caller)
  const path = `/v1/attempts/${id}`
  const { entries, complete } = await askService(service, path, 'GET', storyAnswer)
  return { name: 'url' in service ? service.url : service.socket, entries, complete }
}

type WholeStory = AttemptStory & Pick<KnownEntries, 'complete'> & { readonly ledger: string }

function storyLines(story: WholeStory): readonly string[] {
  const { attempt, ledger, events, notLookedAt, notRead, notFound, complete } = story
  const first = events[0]?.atMs
  return [
    events.length === 0
      ? `UNKNOWN: ${ledger} has nothing of attempt ${attempt}.`
      : `Attempt ${attempt}${first === undefined ? '' : `, which began at ${isoTimeFrom(first)}`}`,
    ...events.map((event) => eventLine(event, first)),
    ...notFound.map((one) => notFoundLine(one)),
    ...notRead.map(({ from, why }) => `Not read to its end: ${logNames[from]}: ${why}.`),
    ...notLookedAt.map((log) => `Not looked at: ${logNames[log]} (${howToLook[log]}).`),
    ...lookedAtLines(story),
    ...(complete ? [] : ['The service has not looked at everything that was written about then.']),
  ]
}

function lookedAtLines({ lookedAt, unread, changesOfUnknown }: WholeStory): readonly string[] {
  return [
    ...(unread === 0
      ? []
      : [`${unread} places in the logs were not understood: something of it may be there.`]),
    ...(changesOfUnknown === 0
      ? []
      : [`${changesOfUnknown} changes of applications at that time do not say of which.`]),
    ...(lookedAt === undefined
      ? []
      : [
          `Looked at: what the logs have from ${isoTimeFrom(lookedAt.fromMs)} to ${isoTimeFrom(lookedAt.toMs)}; reconcile looks at all of them.`,
        ]),
  ]
}

const logNames: Readonly<Record<AzureLog, string>> = {
  'vault-log': 'Key Vault’s log',
  'signin-log': 'Entra’s sign-ins',
  'audit-log': 'Entra’s directory audits',
}

const howToLook: Readonly<Record<AzureLog, string>> = {
  'vault-log': '--vault-log',
  'signin-log': '--signin-log',
  'audit-log': '--audit-log; whose changes matter, --config or a sign-in tells',
}

const joins: Readonly<Record<JoinedBy, string>> = {
  'x-ms-request-id': 'the vault’s x-ms-request-id',
  'signature-nonce': 'the nonce of the signature',
  'entra-trace-id': 'Entra’s trace id',
  uti: 'the uti of the token',
  'client-request-id': 'the client-request-id',
  application: 'the application',
}

const valueMax = 100

function eventLine(event: StoryEvent, firstMs?: number) {
  const { atMs, from, sequence, what, facts } = event
  const since =
    atMs === undefined || firstMs === undefined ? '' : `+${((atMs - firstMs) / 1000).toFixed(3)} s`
  const where = from === 'ledger' ? `ledger ${sequence}` : logNames[from]
  const said = Object.entries(facts).map(([name, value]) => `${name}=${valueText(value)}`)
  const start = [since.padStart(12), where.padEnd(16), printable(what, valueMax)]
  return [...start, ...belonging(event), ...said].join('  ')
}

function belonging({ joinedBy, carriesNonceOf }: StoryEvent): readonly string[] {
  if (carriesNonceOf !== undefined) {
    return [`(carries the nonce of signature ${valueText(carriesNonceOf)}, and is not it)`]
  }
  return joinedBy === undefined ? [] : [`(joined by ${joins[joinedBy]})`]
}

/** Texts of others must not move what is beside them, nor be obeyed by a terminal. */
const valueText = (value: unknown) =>
  printable(typeof value === 'string' ? value : JSON.stringify(value), valueMax)

const notFoundLine = ({ from, id }: NotFound) =>
  from === 'vault-log'
    ? `Not found: a record of signature ${id} in ${logNames[from]}.`
    : `Not found: a sign-in of exchange ${id} in ${logNames[from]}.`

function parseId(text: string): string {
  const id = parseAttemptId(text)
  if (id !== undefined) return id
  throw new InvalidArgumentError('It is not a GUID.')
}
