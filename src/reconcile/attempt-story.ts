import type { AzureLog } from '../base/azure-log.ts'
import { ApplicationChanges } from './application-changes.ts'
import { changeEvent, entryEvent } from './attempt-event.ts'
import type { StoryEntry, StoryEvent } from './attempt-event.ts'
import {
  idsIn,
  type JoinedSignIn,
  namedBy,
  signInEvent,
  signInJoin,
  signInsOnce,
  vaultEvents,
} from './attempt-joins.ts'
import type { DirectoryAudit } from './directory-audit.ts'
import { type Expect, nothingExpected } from './expectations.ts'
import { LogError } from './log-error.ts'
import type { UnreadPlace } from './log-file.ts'
import type { LogSource, LogSources } from './log-source.ts'

export interface AttemptStory {
  readonly attempt: string
  /** In the order of their times. */
  readonly events: readonly StoryEvent[]
  /** Of what time records were looked at, milliseconds since the Unix epoch; absent: none were. */
  readonly lookedAt?: { readonly fromMs: number; readonly toMs: number }
  /** Logs that were not given; and directory audits, where nothing tells which application is meant. */
  readonly notLookedAt: readonly AzureLog[]
  /** Logs that could not be read to their end, and why. */
  readonly notRead: readonly NotRead[]
  /** What the ledger says, and no log that was read. */
  readonly notFound: readonly NotFound[]
  /** Places in the logs that were not understood. */
  readonly unread: number
  /** Changes of applications at that time of which nobody knows whether they are of this one. */
  readonly changesOfUnknown: number
}

export interface NotRead {
  readonly from: AzureLog
  /** For people, with the name of the log. */
  readonly why: string
}

export interface NotFound {
  readonly from: Exclude<AzureLog, 'audit-log'>
  /** Of the signature or exchange. */
  readonly id: string
}

/** What a ledger is held to for one attempt. */
export interface StoryLogs {
  /** Of a kind none: it is not looked at. */
  readonly sources: LogSources
  /** Client ids by the names that entries have; what is missing, sign-ins may tell. */
  readonly applications?: readonly { readonly name: string; readonly clientId: string }[]
  /** Absent: anybody may have signed what was asked for without an answer. */
  readonly expect?: Expect
}

/** Before the first entry and behind the last: clocks differ less, and what was asked is answered sooner. */
const aroundMs = 60 * 60_000

/** A certificate that was changed so long before may be why an exchange failed. */
const changesBeforeMs = 24 * 60 * 60_000

/**
 * Joins what the ledger has of an attempt to the records of others, in the order of time. Logs are read about the time
 * of the attempt where they can be, and otherwise whole; one that cannot be read leaves the others as they are.
 */
export async function attemptStory(
  attempt: string,
  entries: readonly StoryEntry[],
  logs: StoryLogs,
): Promise<AttemptStory> {
  const { vaultLogs, signInLogs, auditLogs } = logs.sources
  const ids = idsIn(entries)
  const span = spanOf(entries)
  const vault = await found('vault-log', vaultLogs, span, (one) => namedBy(one, ids))
  const signIns = await found('signin-log', signInLogs, span, (one) => signInJoin(one, ids))
  const signedIn = signInsOnce(signIns.found)
  const changes = new ApplicationChanges(applicationsOf(entries, signedIn, logs))
  const changesSpan = span && { ...span, fromMs: span.fromMs - changesBeforeMs }
  const audits = await found(
    'audit-log',
    changes.watchesAny ? auditLogs : [],
    changesSpan,
    (one) => {
      if (isWithin(changesSpan, one)) changes.take(one)
    },
  )
  const records = [
    ...vaultEvents(vault.found, ids, logs.expect ?? nothingExpected),
    ...signedIn.map(signInEvent),
  ]
  const notRead = [vault, signIns, audits].flatMap((one) => one.notRead)
  const told = new Set(records.flatMap(({ of }) => of ?? []))
  const untold = (from: NotFound['from'], all: ReadonlySet<string>): readonly NotFound[] =>
    notRead.some((one) => one.from === from)
      ? []
      : [...all].filter((id) => !told.has(id)).map((id) => ({ from, id }))
  const events = [
    ...entries.map(entryEvent),
    ...records.map(({ of: _of, ...event }) => event),
    ...changes.findings().map(({ audit }) => changeEvent(audit)),
  ]
  const isAnyLookedAt = [vaultLogs, signInLogs, auditLogs].some((all) => all.length > 0)
  return {
    attempt,
    events: events.toSorted((a, b) => (a.atMs ?? 0) - (b.atMs ?? 0)),
    ...(span !== undefined && isAnyLookedAt ? { lookedAt: span } : {}),
    notLookedAt: [
      ...(vaultLogs.length === 0 ? (['vault-log'] as const) : []),
      ...(signInLogs.length === 0 ? (['signin-log'] as const) : []),
      ...(auditLogs.length === 0 || !changes.watchesAny ? (['audit-log'] as const) : []),
    ],
    notRead,
    notFound: [
      ...(vaultLogs.length === 0 ? [] : untold('vault-log', ids.signatures)),
      ...(signInLogs.length === 0 ? [] : untold('signin-log', ids.exchanges)),
    ],
    unread: vault.unread + signIns.unread + audits.unread,
    changesOfUnknown: changes.undecided().reduce((sum, { count }) => sum + count, 0),
  }
}

interface Span {
  readonly fromMs: number
  readonly toMs: number
}

/** Undefined where there are no entries, and so nothing that could be joined. */
function spanOf(entries: readonly StoryEntry[]): Span | undefined {
  const times = entries.map(({ entry }) => entry['atMs']).filter((atMs) => typeof atMs === 'number')
  if (times.length === 0) return undefined
  return { fromMs: Math.min(...times) - aroundMs, toMs: Math.max(...times) + aroundMs }
}

const isWithin = (span: Span | undefined, { timeMs }: DirectoryAudit): boolean =>
  span !== undefined && timeMs >= span.fromMs && timeMs < span.toMs

/** By the names that entries have, and by what Entra says of who signed in. */
function applicationsOf(
  entries: readonly StoryEntry[],
  signedIn: readonly JoinedSignIn[],
  { applications = [] }: StoryLogs,
): ReadonlySet<string> {
  const names = new Set(entries.map(({ entry }) => entry['application']))
  return new Set([
    ...applications.flatMap(({ name, clientId }) => (names.has(name) ? clientId : [])),
    ...signedIn.flatMap(({ record }) => [record.appId, record.servicePrincipalId ?? []].flat()),
  ])
}

interface FoundInLogs<Found> {
  readonly found: readonly Found[]
  readonly notRead: readonly NotRead[]
  readonly unread: number
}

/** @param span Undefined: nothing can be found. */
async function found<LogRecord extends { readonly kind: string }, Found>(
  from: AzureLog,
  sources: readonly LogSource<LogRecord>[],
  span: Span | undefined,
  find: (record: LogRecord) => Found | undefined,
): Promise<FoundInLogs<Found>> {
  const all: Found[] = []
  const notRead: NotRead[] = []
  let unread = 0
  if (span === undefined) return { found: [], notRead, unread }
  for (const source of sources) {
    try {
      for await (const batch of source.records(span.fromMs, span.toMs)) {
        for (const one of batch) {
          if (isUnread(one)) unread += 1
          else all.push(...[find(one)].filter((event) => event !== undefined))
        }
      }
    } catch (error) {
      if (!(error instanceof LogError)) throw error
      notRead.push({ from, why: error.message })
    }
  }
  return { found: all, notRead, unread }
}

const isUnread = (one: { readonly kind: string }): one is UnreadPlace => one.kind === 'unread'
