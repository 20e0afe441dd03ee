import type { LedgerSource } from '../ledger/ledger-source.ts'
import type { Finding, Undecided } from './finding.ts'
import type { KeyName } from './key-name.ts'
import { LedgerCollector } from './ledger-facts.ts'
import type { LedgerFacts } from './ledger-facts.ts'
import type { UnreadPlace } from './log-file.ts'
import { match } from './match.ts'
import type { Matches, MatchOptions } from './match.ts'
import { readVaultLog } from './read-log.ts'
import { VaultLogCollector, watchFrom } from './vault-log-facts.ts'
import type { Coverage, VaultLogFacts, Watch } from './vault-log-facts.ts'

export interface ReconcileRequest extends MatchOptions {
  readonly ledger: LedgerSource
  /** See `readVaultLog`. */
  readonly vaultLogPaths: readonly string[]
  /** Keys to watch besides those that the ledger names: of a ledger that may have been emptied. */
  readonly keys: readonly KeyName[]
}

/** Findings win over what is undecided. */
export type Verdict = 'accounted-for' | 'findings' | 'undecided'

export interface Report extends MatchOptions {
  readonly verdict: Verdict
  readonly findings: readonly Finding[]
  readonly undecided: readonly Undecided[]
  readonly ledger: LedgerSummary
  readonly vaultLog: VaultLogSummary
  /** Keys by name, whatever version. */
  readonly watchedKeys: readonly string[]
}

export interface LedgerSummary {
  /** Path of a file, or URL of a database without role and password. */
  readonly name: string
  readonly entries: number
  readonly signaturesBegun: number
  readonly signaturesMade: number
  /** Failed, and the vault did not sign. */
  readonly signaturesRefused: number
  /** No answer known: the service died, or the reply was lost. */
  readonly signaturesOpen: number
}

export interface VaultLogSummary {
  readonly paths: readonly string[]
  readonly records: number
  /** Signatures by the watched keys. */
  readonly signatures: number
  /** Of these, known to the ledger by the vault's id and described as the log does. */
  readonly explained: number
  readonly duplicates: number
  readonly coverage: ReadonlyMap<string, Coverage>
  readonly unread: number
  /** The first of them. */
  readonly unreadPlaces: readonly UnreadPlace[]
}

/** Enough to see what is wrong with a log. */
const unreadPlacesMax = 10

/**
 * Accounts for every signature of the watched keys: reads the ledger, then the log, because what is
 * signed meanwhile is younger than `nowMs` and stays undecided.
 *
 * @throws LedgerFileError | LedgerDatabaseError | LogFileError when one of them cannot be read at all.
 */
export async function reconcile(request: ReconcileRequest): Promise<Report> {
  const ledger = await readLedger(request.ledger)
  const watch = watchFrom(ledger, request.keys)
  const { log, unread, unreadPlaces } = await collect(request.vaultLogPaths, watch)
  const matches = match(ledger, log, request)
  const undecided = [...matches.undecided, ...blindSpots(watch, log, unread)]
  return {
    verdict: verdictFrom(matches.findings, undecided),
    findings: matches.findings,
    undecided,
    ledger: ledgerSummary(request.ledger.name, ledger),
    vaultLog: {
      paths: request.vaultLogPaths,
      ...logSummary(log, matches),
      unread,
      unreadPlaces,
    },
    watchedKeys: watch.keys,
    nowMs: request.nowMs,
    graceMs: request.graceMs,
  }
}

async function readLedger(source: LedgerSource): Promise<LedgerFacts> {
  const collector = new LedgerCollector()
  for await (const page of source.pages()) collector.take(page)
  return collector.facts()
}

async function collect(paths: readonly string[], watch: Watch) {
  const collector = new VaultLogCollector(watch)
  const unreadPlaces: UnreadPlace[] = []
  let unread = 0
  for await (const records of readVaultLog(paths)) {
    for (const record of records) {
      if (record.kind !== 'unread') collector.take(record)
      else if (++unread <= unreadPlacesMax) unreadPlaces.push(record)
    }
  }
  return { log: collector.facts(), unread, unreadPlaces }
}

/** Where a signature could be that was not looked at. */
function blindSpots(watch: Watch, log: VaultLogFacts, unread: number): readonly Undecided[] {
  return [
    ...(unread === 0 ? [] : [{ reason: 'log-not-understood', count: unread } as const]),
    ...(log.records > 0 ? [] : [{ reason: 'log-empty', count: 1 } as const]),
    ...(watch.keys.length > 0 ? [] : [{ reason: 'no-key-to-watch', count: 1 } as const]),
  ]
}

function verdictFrom(findings: readonly Finding[], undecided: readonly Undecided[]): Verdict {
  if (findings.length > 0) return 'findings'
  return undecided.length > 0 ? 'undecided' : 'accounted-for'
}

function ledgerSummary(name: string, { signatures, entries }: LedgerFacts): LedgerSummary {
  const all = [...signatures.values()]
  const count = (holds: (facts: (typeof all)[number]) => boolean) => all.filter(holds).length
  const made = count(({ outcome }) => outcome?.kind === 'signature.made')
  const refused = count(
    ({ outcome }) => outcome?.kind === 'signature.failed' && outcome.applied === 'no',
  )
  return {
    name,
    entries,
    signaturesBegun: count(({ begun }) => begun !== undefined),
    signaturesMade: made,
    signaturesRefused: refused,
    signaturesOpen: all.length - made - refused,
  }
}

function logSummary(log: VaultLogFacts, { explained }: Matches) {
  const signatures = log.signs.filter(({ httpStatusCode }) => httpStatusCode === 200).length
  return {
    records: log.records,
    signatures,
    explained,
    duplicates: log.duplicates,
    coverage: log.coverage,
  }
}
