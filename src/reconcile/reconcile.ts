import type { Link, Row } from '../ledger/chain.ts'
import { ChainCheck } from '../ledger/chain-check.ts'
import { ApplicationChanges } from './application-changes.ts'
import { CoverageCollector } from './coverage.ts'
import type { Coverage } from './coverage.ts'
import type { DirectoryAudit } from './directory-audit.ts'
import { expectationsFrom, nothingExpected } from './expectations.ts'
import type { Expect } from './expectations.ts'
import type { Finding, Undecided } from './finding.ts'
import { KeyEvents } from './key-events.ts'
import { parseKeyUrl, withoutPort } from './key-name.ts'
import type { KeyName } from './key-name.ts'
import { evidenceFrom } from './ledger-evidence.ts'
import { LedgerCollector } from './ledger-facts.ts'
import type { LedgerCounts, LedgerFacts } from './ledger-facts.ts'
import type { UnreadPlace } from './log-file.ts'
import type { UnreadableLog } from './log-source.ts'
import { missingFindings, missingFrom } from './missing-records.ts'
import type { DroppedAt } from './missing-records.ts'
import { SignInMatcher } from './sign-in-match.ts'
import type { SignInSummary } from './sign-in-match.ts'
import type { SignInRecord } from './sign-in-record.ts'
import { SignMatcher } from './sign-match.ts'
import type { MatchOptions, SignSummary } from './sign-match.ts'
import { identityOf } from './sign-record-identity.ts'
import { unprovedFindings, unprovedFrom } from './unproved.ts'
import type { SignRecord, VaultRecord } from './vault-record.ts'
import { watchFrom } from './watch.ts'
import type { Watch } from './watch.ts'

/** The records of all sources of a kind, and which of these could not be read. */
export type Batches<LogRecord> = AsyncIterable<readonly (LogRecord | UnreadPlace | UnreadableLog)[]>

/** What is joined, wherever it comes from. Ledger, vault's log and sign-ins may be read twice. */
export interface Accounts extends MatchOptions {
  readonly pages: () => AsyncIterable<Iterable<Row>>
  readonly vaultRecords: () => Batches<VaultRecord>
  readonly signIns?: () => Batches<SignInRecord>
  readonly audits?: () => Batches<DirectoryAudit>
  /** Keys to watch besides those that the ledger names: of a ledger that may have been emptied. */
  readonly keys: readonly KeyName[]
  /** Client ids, and object ids where they are known, besides those that sign-ins show to be ours. */
  readonly applicationIds?: readonly string[]
  /** Absent: whoever signs by the ids of the ledger is taken for us. */
  readonly expect?: Expect
  /** Absent: pages and records are all that there are. */
  readonly earlier?: Earlier
}

/** What was read before the pages and records that are given, and is not read again. */
export interface Earlier {
  /** The entry that the first page continues. */
  readonly behind: Link
  /** Of the entries up to it, those of keys and certificates. */
  readonly rows: readonly Row[]
  /** Which times the vaults' logs stood for. */
  readonly coverage: ReadonlyMap<string, Coverage>
  /** Object ids that asked for our explained signatures. */
  readonly principals: readonly string[]
  /** Asked when all pages and records were read. */
  readonly droppedAt: DroppedAt
}

/** Of whatever kind. */
export const unreadableLogs = ({
  vaultLog,
  signInLog,
  auditLog,
}: Pick<Accounting, 'vaultLog' | 'signInLog' | 'auditLog'>): readonly UnreadableLog[] =>
  [vaultLog, signInLog, auditLog].flatMap((log) => log?.unreadable ?? [])

/** Findings win over what is undecided. */
export type Verdict = 'accounted-for' | 'findings' | 'undecided'

export interface Accounting extends MatchOptions {
  readonly verdict: Verdict
  readonly findings: readonly Finding[]
  readonly undecided: readonly Undecided[]
  readonly ledger: LedgerAccounting
  readonly vaultLog: VaultLogAccounting
  /** Absent when no sign-ins were given. */
  readonly signInLog?: EntraLogAccounting & SignInSummary
  /** Absent when no audits were given. */
  readonly auditLog?: EntraLogAccounting
  /** Keys by name, whatever version. */
  readonly watchedKeys: readonly string[]
  /** Object ids that asked for our explained signatures, earlier ones too. */
  readonly principals: readonly string[]
  /** Client ids and object ids of applications, where sign-ins or audits were given. */
  readonly watchedApplications: readonly string[]
}

export interface LedgerAccounting extends LedgerCounts {
  /** Signatures whose proof is to be published later, because what was signed may still be used. */
  readonly proofsNotDue: number
  /** When the first of these was made, milliseconds since the Unix epoch; absent: there is none. */
  readonly proofsNotDueFromMs?: number
}

export interface VaultLogAccounting extends SignSummary, Unread {
  /** Of any operation and key, as often as they were delivered. */
  readonly records: number
  /** By vault. */
  readonly coverage: ReadonlyMap<string, Coverage>
}

export interface EntraLogAccounting extends Unread {
  readonly records: number
}

/** What was not read of a log, wherever it is kept. */
export interface Unread {
  /** Places that were not understood. */
  readonly unread: number
  /** The first of them. */
  readonly unreadPlaces: readonly UnreadPlace[]
  /** Its sources that could not be read to their end. */
  readonly unreadable: readonly UnreadableLog[]
}

export interface Report extends Accounting {
  readonly ledger: LedgerSummary
  readonly vaultLog: VaultLogSummary
  readonly signInLog?: EntraLogSummary & SignInSummary
  readonly auditLog?: EntraLogSummary
}

export interface LedgerSummary extends LedgerAccounting {
  /** Path of a file, or URL of a database without role and password. */
  readonly name: string
}

export interface VaultLogSummary extends VaultLogAccounting {
  readonly paths: readonly string[]
}

export interface EntraLogSummary extends EntraLogAccounting {
  readonly paths: readonly string[]
}

/** Joins ledger and logs; blind to the order in which records were delivered. */
export async function account(accounts: Accounts): Promise<Accounting> {
  const ledger = await readLedger(accounts)
  const watch = watchFrom(ledger.keys, accounts.keys)
  const vaults = await accountForVaults(accounts, ledger, watch)
  const entra = await accountForEntra(accounts, ledger)
  const findings = [
    ...(ledger.fault === undefined
      ? []
      : [{ kind: 'ledger.broken', fault: ledger.fault } as const]),
    ...vaults.findings,
    ...entra.findings,
  ]
  const undecided = joined([
    ...vaults.undecided,
    ...entra.undecided,
    ...(watch.keys.length > 0 ? [] : [{ reason: 'no-key-to-watch', count: 1 } as const]),
  ])
  const { signInLog, auditLog } = entra
  return {
    verdict: verdictFrom(findings, undecided),
    findings,
    undecided,
    ledger: {
      ...ledger.counts,
      proofsNotDue: vaults.proofsNotDue,
      ...(vaults.proofsNotDue === 0 ? {} : { proofsNotDueFromMs: vaults.proofsNotDueFromMs }),
    },
    vaultLog: vaults.outcome,
    ...(signInLog && { signInLog }),
    ...(auditLog && { auditLog }),
    watchedKeys: watch.keys,
    principals: vaults.principals,
    watchedApplications: entra.watched,
    nowMs: accounts.nowMs,
    graceMs: accounts.graceMs,
  }
}

async function readLedger({ pages, earlier }: Accounts): Promise<LedgerFacts> {
  const chain = new ChainCheck()
  try {
    const collector = new LedgerCollector(chain)
    if (earlier !== undefined) collector.recall(earlier.rows, earlier.behind)
    for await (const page of pages()) await collector.take(page)
    await collector.settled()
    return collector.facts()
  } finally {
    await chain.end()
  }
}

async function accountForVaults(accounts: Accounts, ledger: LedgerFacts, watch: Watch) {
  const expectations = expectationsFrom(accounts.expect ?? nothingExpected)
  const matcher = new SignMatcher(ledger, watch, expectations, accounts.earlier?.principals)
  const events = new KeyEvents(watch)
  const reach = new CoverageCollector(accounts.earlier?.coverage)
  const { records, ...first } = await each(accounts.vaultRecords(), (record) => {
    const vault = record.kind === 'sign' ? record.key.vault : record.vault
    if (vault !== undefined) reach.take(vault, record.timeMs)
    if (record.kind === 'sign') matcher.take(record)
    else events.take(record)
  })
  const again = await signRecordsAgain(matcher.repeatedIds, accounts)
  if (again.found.length > 0) matcher.resolve(again.found)
  const unread = { ...first, unreadable: eachOnce([...first.unreadable, ...again.unreadable]) }
  const coverage = reach.coverage()
  // What the others do not have may be in the one that nobody could read.
  const isWhole = unread.unreadable.length === 0
  const missing = missingFrom(ledger, isWhole ? coverage : new Map(), {
    ...accounts,
    droppedAt: accounts.earlier?.droppedAt,
  })
  const unproved = unprovedFrom(ledger, accounts)
  const { answered, nonces } = matcher.wanted()
  const evidence = await evidenceFrom(accounts.pages, ledger.answered, {
    answered: new Set([...answered, ...missing.ordinals, ...unproved.reasons.keys()]),
    nonces,
  })
  const matches = matcher.findings(evidence, accounts)
  const summary = matcher.summary()
  const leftOut = ledger.left + summary.leftOut + missing.left + unproved.left + events.left
  return {
    findings: [
      ...matches.findings,
      ...missingFindings(missing, evidence),
      ...unprovedFindings(unproved, evidence),
      ...events.findings(),
    ],
    undecided: [
      ...matches.undecided,
      ...missing.undecided.list(),
      ...unproved.undecided.list(),
      ...(leftOut === 0 ? [] : [{ reason: 'too-many', count: leftOut } as const]),
      ...blindSpots(unread),
      ...(isWhole ? emptyLogs(watch, { records, coverage }) : []),
    ],
    principals: [...matcher.principals].sort(),
    outcome: { records, ...summary, ...unread, coverage },
    proofsNotDue: unproved.notDue,
    proofsNotDueFromMs: unproved.notDueFromMs,
  }
}

function emptyLogs(
  watch: Watch,
  { records, coverage }: Pick<VaultLogAccounting, 'records' | 'coverage'>,
): readonly Undecided[] {
  return records > 0 || coverage.size > 0
    ? vaultsWithoutLog(watch, coverage)
    : [{ reason: 'log-empty', count: 1 }]
}

/**
 * Vaults of watched keys of which the log has no record at all: nobody knows what was signed there. A log that
 * ends long ago is no such reason, because a vault writes when it is used and may have been left in peace;
 * signatures and heads of the ledger show by themselves whether it reaches their time.
 */
function vaultsWithoutLog(
  watch: Watch,
  coverage: ReadonlyMap<string, Coverage>,
): readonly Undecided[] {
  const keys = watch.keys.flatMap((text) => parseKeyUrl(text) ?? [])
  const silent = keys.filter(
    (key) => !coverage.has(key.vault) && !coverage.has(withoutPort(key).vault),
  )
  const count = new Set(silent.map(({ vault }) => vault)).size
  return count === 0 ? [] : [{ reason: 'vault-without-log', count }]
}

/** Those with these ids, in a second reading: how they are ordered must not decide anything. */
async function signRecordsAgain(
  ids: ReadonlySet<string>,
  { vaultRecords }: Pick<Accounts, 'vaultRecords'>,
): Promise<Pick<Unread, 'unreadable'> & { readonly found: readonly SignRecord[] }> {
  if (ids.size === 0) return { found: [], unreadable: [] }
  const found = new Map<string, SignRecord>()
  const { unreadable } = await each(vaultRecords(), (record) => {
    if (record.kind !== 'sign' || !ids.has(record.correlationId)) return
    found.set(identityOf(record), record)
  })
  return { found: [...found.values()], unreadable }
}

/** A log may be read twice, and is unreadable once. */
const eachOnce = (unreadable: readonly UnreadableLog[]): readonly UnreadableLog[] => [
  ...new Map(unreadable.map((one) => [one.log, one])).values(),
]

async function accountForEntra(accounts: Accounts, ledger: LedgerFacts) {
  const { signIns, audits, applicationIds = [] } = accounts
  const matcher = new SignInMatcher(ledger, { clientIds: applicationIds })
  const signInLog = signIns && (await matchSignIns(matcher, signIns))
  const watched = new Set([...matcher.applications, ...matcher.servicePrincipals])
  const changes = new ApplicationChanges(watched)
  const auditLog =
    audits &&
    (await each(audits(), (audit) => {
      changes.take(audit)
    }))
  const matches = matcher.findings(accounts)
  const isGiven = signIns !== undefined || audits !== undefined
  const leftOut = matcher.summary().leftOut + changes.left
  return {
    findings: [...matches.findings, ...changes.findings()],
    undecided: [
      ...matches.undecided,
      ...changes.undecided(),
      ...(leftOut === 0 ? [] : [{ reason: 'too-many', count: leftOut } as const]),
      ...(signInLog === undefined ? [] : blindSpots(signInLog)),
      ...(auditLog === undefined ? [] : blindSpots(auditLog)),
      ...(isGiven && watched.size === 0
        ? [{ reason: 'no-application-to-watch', count: 1 } as const]
        : []),
    ],
    watched: isGiven ? [...watched].sort() : [],
    signInLog: signInLog && { ...signInLog, ...matcher.summary() },
    auditLog,
  }
}

/** Twice: which applications are ours has to be known before anything is kept or passed over. */
async function matchSignIns(matcher: SignInMatcher, signIns: () => Batches<SignInRecord>) {
  const { unreadable } = await each(signIns(), (signIn) => {
    matcher.recognize(signIn)
  })
  const taken = await each(signIns(), (signIn) => {
    matcher.take(signIn)
  })
  return { ...taken, unreadable: eachOnce([...unreadable, ...taken.unreadable]) }
}

/** Enough to see what is wrong with a log. */
const unreadPlacesMax = 10

/** Hands on every record, and keeps the first places that are not understood. */
async function each<LogRecord extends { readonly kind: string }>(
  batches: Batches<LogRecord>,
  take: (record: LogRecord) => void,
): Promise<Unread & { readonly records: number }> {
  const unreadPlaces: UnreadPlace[] = []
  const unreadable: UnreadableLog[] = []
  let unread = 0
  let records = 0
  for await (const batch of batches) {
    for (const record of batch) {
      if (isUnreadable(record)) {
        unreadable.push(record)
      } else if (isUnread(record)) {
        unread += 1
        if (unread <= unreadPlacesMax) unreadPlaces.push(record)
      } else {
        records += 1
        take(record)
      }
    }
  }
  return { records, unread, unreadPlaces, unreadable }
}

const isUnreadable = (record: { readonly kind: string }): record is UnreadableLog =>
  record.kind === 'unreadable'

const isUnread = (record: { readonly kind: string }): record is UnreadPlace =>
  record.kind === 'unread'

/** Where a signature or a sign-in could be that was not looked at. */
const blindSpots = ({ unread, unreadable }: Unread): readonly Undecided[] => [
  ...(unread === 0 ? [] : [{ reason: 'log-not-understood', count: unread } as const]),
  ...(unreadable.length === 0
    ? []
    : [{ reason: 'log-unreadable', count: unreadable.length } as const]),
]

/** One for each reason, whatever log it is about. */
function joined(undecided: readonly Undecided[]): readonly Undecided[] {
  const byReason = Map.groupBy(undecided, ({ reason }) => reason)
  return [...byReason].map(([reason, items]) => {
    const times = items.flatMap(({ fromMs, toMs }) =>
      fromMs === undefined || toMs === undefined ? [] : [fromMs, toMs],
    )
    const count = items.reduce((sum, item) => sum + item.count, 0)
    if (times.length === 0) return { reason, count }
    return { reason, count, fromMs: Math.min(...times), toMs: Math.max(...times) }
  })
}

function verdictFrom(findings: readonly Finding[], undecided: readonly Undecided[]): Verdict {
  if (findings.length > 0) return 'findings'
  return undecided.length > 0 ? 'undecided' : 'accounted-for'
}
