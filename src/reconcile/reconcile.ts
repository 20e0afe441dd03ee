import type { Row } from '../ledger/chain.ts'
import type { LedgerSource } from '../ledger/ledger-source.ts'
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
import { readDirectoryLog, readSignInLog, readVaultLog } from './read-log.ts'
import { SignInMatcher } from './sign-in-match.ts'
import type { SignInSummary } from './sign-in-match.ts'
import type { SignInRecord } from './sign-in-record.ts'
import { identityOf, SignMatcher } from './sign-match.ts'
import type { MatchOptions, SignSummary } from './sign-match.ts'
import type { SignRecord, VaultRecord } from './vault-record.ts'
import { watchFrom } from './watch.ts'
import type { Watch } from './watch.ts'

export interface ReconcileRequest extends MatchOptions {
  readonly ledger: LedgerSource
  /** See `readLogFiles`. */
  readonly vaultLogPaths: readonly string[]
  /** Of sign-ins of service principals; absent: nothing is said of them. */
  readonly signInLogPaths?: readonly string[]
  /** Of directory audits; absent: nothing is said of them. */
  readonly auditLogPaths?: readonly string[]
  /** Keys to watch besides those that the ledger names: of a ledger that may have been emptied. */
  readonly keys: readonly KeyName[]
  /** Client ids, and object ids where they are known, besides those that sign-ins show to be ours. */
  readonly applicationIds?: readonly string[]
  /** Absent: whoever signs by the ids of the ledger is taken for us. */
  readonly expect?: Expect
}

/** Records as they come, many at a time. */
export type Batches<LogRecord> = AsyncIterable<readonly (LogRecord | UnreadPlace)[]>

/** What is joined, wherever it comes from. Ledger, vault's log and sign-ins may be read twice. */
export interface Accounts extends MatchOptions {
  readonly pages: () => AsyncIterable<Iterable<Row>>
  readonly vaultRecords: () => Batches<VaultRecord>
  readonly signIns?: () => Batches<SignInRecord>
  readonly audits?: () => Batches<DirectoryAudit>
  readonly keys: readonly KeyName[]
  readonly applicationIds?: readonly string[]
  readonly expect?: Expect
}

/** Findings win over what is undecided. */
export type Verdict = 'accounted-for' | 'findings' | 'undecided'

export interface Accounting extends MatchOptions {
  readonly verdict: Verdict
  readonly findings: readonly Finding[]
  readonly undecided: readonly Undecided[]
  readonly ledger: LedgerCounts
  readonly vaultLog: VaultLogAccounting
  /** Absent when no sign-ins were given. */
  readonly signInLog?: EntraLogAccounting & SignInSummary
  /** Absent when no audits were given. */
  readonly auditLog?: EntraLogAccounting
  /** Keys by name, whatever version. */
  readonly watchedKeys: readonly string[]
  /** Client ids and object ids of applications, where sign-ins or audits were given. */
  readonly watchedApplications: readonly string[]
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

/** Places that were not understood. */
export interface Unread {
  readonly unread: number
  /** The first of them. */
  readonly unreadPlaces: readonly UnreadPlace[]
}

export interface Report extends Accounting {
  readonly ledger: LedgerSummary
  readonly vaultLog: VaultLogSummary
  readonly signInLog?: EntraLogSummary & SignInSummary
  readonly auditLog?: EntraLogSummary
}

export interface LedgerSummary extends LedgerCounts {
  /** Path of a file, or URL of a database without role and password. */
  readonly name: string
}

export interface VaultLogSummary extends VaultLogAccounting {
  readonly paths: readonly string[]
}

export interface EntraLogSummary extends EntraLogAccounting {
  readonly paths: readonly string[]
}

/**
 * Accounts for every signature of the watched keys: reads the ledger, then the logs, because what is signed
 * meanwhile is younger than `nowMs` and stays undecided.
 *
 * @throws LedgerFileError | LedgerDatabaseError | LogFileError when one of them cannot be read at all.
 */
export async function reconcile(request: ReconcileRequest): Promise<Report> {
  const { ledger, vaultLogPaths, signInLogPaths, auditLogPaths, ...rest } = request
  const outcome = await account({
    ...rest,
    pages: () => ledger.pages(),
    vaultRecords: () => readVaultLog(vaultLogPaths),
    ...(signInLogPaths === undefined ? {} : { signIns: () => readSignInLog(signInLogPaths) }),
    ...(auditLogPaths === undefined ? {} : { audits: () => readDirectoryLog(auditLogPaths) }),
  })
  const { signInLog, auditLog, ...others } = outcome
  return {
    ...others,
    ledger: { name: ledger.name, ...outcome.ledger },
    vaultLog: { paths: vaultLogPaths, ...outcome.vaultLog },
    ...(signInLog && { signInLog: { paths: signInLogPaths ?? [], ...signInLog } }),
    ...(auditLog && { auditLog: { paths: auditLogPaths ?? [], ...auditLog } }),
  }
}

/** Joins ledger and logs; blind to the order in which records were delivered. */
export async function account(accounts: Accounts): Promise<Accounting> {
  const ledger = await readLedger(accounts.pages)
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
    ledger: ledger.counts,
    vaultLog: vaults.outcome,
    ...(signInLog && { signInLog }),
    ...(auditLog && { auditLog }),
    watchedKeys: watch.keys,
    watchedApplications: entra.watched,
    nowMs: accounts.nowMs,
    graceMs: accounts.graceMs,
  }
}

async function readLedger(pages: Accounts['pages']): Promise<LedgerFacts> {
  const collector = new LedgerCollector()
  for await (const page of pages()) collector.take(page)
  return collector.facts()
}

async function accountForVaults(accounts: Accounts, ledger: LedgerFacts, watch: Watch) {
  const expectations = expectationsFrom(accounts.expect ?? nothingExpected)
  const matcher = new SignMatcher(ledger, watch, expectations)
  const events = new KeyEvents(watch)
  const reach = new CoverageCollector()
  const { records, ...unread } = await each(accounts.vaultRecords(), (record) => {
    const vault = record.kind === 'sign' ? record.key.vault : record.vault
    if (vault !== undefined) reach.take(vault, record.timeMs)
    if (record.kind === 'sign') matcher.take(record)
    else events.take(record)
  })
  if (matcher.repeatedIds.size > 0) {
    matcher.resolve(await recordsOf(matcher.repeatedIds, accounts.vaultRecords()))
  }
  const coverage = reach.coverage()
  const missing = matcher.missing(coverage, accounts)
  const wanted = matcher.wanted(missing)
  const evidence = await evidenceFrom(accounts.pages, ledger.answered, wanted)
  const matches = matcher.findings(missing, evidence, accounts)
  const summary = matcher.summary()
  const leftOut = summary.leftOut + missing.left + events.left
  return {
    findings: [...matches.findings, ...events.findings()],
    undecided: [
      ...matches.undecided,
      ...(leftOut === 0 ? [] : [{ reason: 'too-many', count: leftOut } as const]),
      ...blindSpots(unread),
      ...(records > 0
        ? vaultsWithoutLog(watch, coverage)
        : [{ reason: 'log-empty', count: 1 } as const]),
    ],
    outcome: { records, ...summary, ...unread, coverage },
  }
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
async function recordsOf(
  ids: ReadonlySet<string>,
  batches: Batches<VaultRecord>,
): Promise<readonly SignRecord[]> {
  const found = new Map<string, SignRecord>()
  await each(batches, (record) => {
    if (record.kind !== 'sign' || !ids.has(record.correlationId)) return
    found.set(identityOf(record), record)
  })
  return [...found.values()]
}

async function accountForEntra(accounts: Accounts, ledger: LedgerFacts) {
  const { signIns, audits, applicationIds = [] } = accounts
  const matcher = new SignInMatcher(ledger, { clientIds: applicationIds })
  const signInLog = signIns && (await matchSignIns(matcher, signIns))
  const changes = new ApplicationChanges()
  const auditLog =
    audits &&
    (await each(audits(), (audit) => {
      changes.take(audit)
    }))
  const matches = matcher.findings(accounts)
  const watched = new Set([...matcher.applications, ...matcher.servicePrincipals])
  const isGiven = signIns !== undefined || audits !== undefined
  const leftOut = matcher.summary().leftOut + changes.left
  return {
    findings: [...matches.findings, ...changes.findings(watched)],
    undecided: [
      ...matches.undecided,
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
  await each(signIns(), (signIn) => {
    matcher.recognize(signIn)
  })
  return each(signIns(), (signIn) => {
    matcher.take(signIn)
  })
}

/** Enough to see what is wrong with a log. */
const unreadPlacesMax = 10

/** Hands on every record, and keeps the first places that are not understood. */
async function each<LogRecord extends { readonly kind: string }>(
  batches: Batches<LogRecord>,
  take: (record: LogRecord) => void,
): Promise<Unread & { readonly records: number }> {
  const unreadPlaces: UnreadPlace[] = []
  let unread = 0
  let records = 0
  for await (const batch of batches) {
    for (const record of batch) {
      if (isUnread(record)) {
        unread += 1
        if (unread <= unreadPlacesMax) unreadPlaces.push(record)
      } else {
        records += 1
        take(record)
      }
    }
  }
  return { records, unread, unreadPlaces }
}

const isUnread = (record: { readonly kind: string }): record is UnreadPlace =>
  record.kind === 'unread'

/** Where a signature or a sign-in could be that was not looked at. */
const blindSpots = ({ unread }: Unread): readonly Undecided[] =>
  unread === 0 ? [] : [{ reason: 'log-not-understood', count: unread }]

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
