import { hourMs, hourOf } from '../coverage.ts'
import type { Coverage } from '../coverage.ts'
import type { Finding, Undecided } from '../finding.ts'
import type { UnreadPlace } from '../log-file.ts'
import { recordsOf } from '../log-source.ts'
import type { LogSource, LogSources, UnreadableLog } from '../log-source.ts'
import type { DroppedAt } from '../missing-records.ts'
import { account } from '../reconcile.ts'
import type { Accounting, Accounts, Batches } from '../reconcile.ts'
import type { RemovedFiles } from '../removals.ts'
import type { LedgerSource } from '../../ledger/ledger-source.ts'
import { arrivalsIn, marksAfter } from './arrived-logs.ts'
import type { ArrivedLogs } from './arrived-logs.ts'
import { EvidenceLookout } from './evidence-lookout.ts'
import { timeOfFinding } from './finding-id.ts'
import type { LogRecord } from './finding-id.ts'
import { ledgerWindow } from './ledger-window.ts'
import type { LedgerLearned } from './ledger-window.ts'
import type { WrittenLate } from './written-late.ts'
import { LogBeginnings } from './log-beginnings.ts'
import { undecidedTimes } from './news.ts'
import type { RoundState } from './round-state.ts'
import { UnreadFiles } from './unread-files.ts'
import type { UnreadFile } from './unread-files.ts'
import { unreadableAfter, unreadableFindings } from './unreadable-logs.ts'
import { logNameOf } from './log-kinds.ts'
import type { LogKind } from './log-kinds.ts'

/** What is accounted for in each round. */
export interface RoundRequest extends Pick<
  Accounts,
  'keys' | 'applicationIds' | 'expect' | 'nowMs' | 'graceMs'
> {
  readonly ledger: LedgerSource
  readonly sources: LogSources
  /** How much was read so far, for whoever waits. */
  readonly progress?: (read: Progress) => void
}

export interface Progress {
  readonly entries: number
  readonly records: number
}

/** What one round came to, before it is held to what was known. */
export interface Round {
  /** Whatever happened before was not looked at again. */
  readonly fromMs: number
  /** By what was said, or by what signatures showed in this round or an earlier one. */
  readonly isServiceKnown: boolean
  readonly nowMs: number
  readonly graceMs: number
  /** Of that time and later; a ledger that is broken whenever it is. */
  readonly findings: readonly Finding[]
  readonly undecided: readonly Undecided[]
  readonly accounting: Accounting
  readonly ledger: LedgerLearned
  readonly logs: RoundState['logs']
  /** Files of all logs with places that were not understood, as far as they were read. */
  readonly unread: readonly Omit<UnreadFile, 'readAtMs'>[]
  /** Files that are other ones than in the round before, or gone. */
  readonly changed: ReadonlySet<string>
  /** Of these, what vaults' logs have lost. */
  readonly vaultFilesRemoved: readonly RemovedFiles[]
  /** See `Arrivals`. */
  readonly returned: ReadonlySet<string>
  /** What was read of the records that known findings are about. */
  readonly evidence: Pick<EvidenceLookout, 'seen' | 'misses'>
  readonly beginnings: LogBeginnings
  /** Logs that could not be read, and since when. */
  readonly unreadable: RoundState['unreadable']
}

/**
 * An exchange explains sign-ins, and an assertion that was handed out is good, for so long after its entry. Entries
 * and records of so long before are read with the others, so that nothing at the edge lacks its counterpart.
 */
const overlapMs = 30 * 60_000

/**
 * Accounts for what is not decided for good, and for what records that came late are about, however old: what
 * neither can change is not read again. Whether a record comes in time or a month later, the findings are the same.
 *
 * A log that cannot be read is undecided, and looked at by a later round from where it was left; after some rounds it
 * is a finding.
 *
 * @throws LedgerFileError | LedgerDatabaseError when the ledger cannot be read.
 */
export async function runRound(state: RoundState, request: RoundRequest): Promise<Round> {
  const { nowMs, graceMs } = request
  // Before the ledger is read: what comes in between is looked at now and once more.
  const decidedUntilMs = Math.min(state.decidedUntilMs ?? -Infinity, state.lookFromMs ?? Infinity)
  const arrivals = await arrivalsIn(request.sources, state.logs, decidedUntilMs)
  const reading = (fromMs: number) => readFrom(fromMs, decidedUntilMs, state, request, arrivals)
  let read = await reading(Math.min(decidedUntilMs, arrivals.fromMs))
  // What they are held to is read from there on too.
  const { fromMs: lateFromMs } = read.learned.writtenLate
  if (lateFromMs < read.fromMs) read = await reading(lateFromMs)
  const { fromMs, accounting, learned, unread, evidence, beginnings } = read
  const unreadable = unreadableAfter(state.unreadable, accounting, nowMs)
  const left = new Set(unreadable.map(({ of, log }) => logNameOf(of, log)))
  return {
    fromMs,
    isServiceKnown: (request.expect?.principals.length ?? 0) + accounting.principals.length > 0,
    nowMs,
    graceMs,
    findings: [
      ...rewritingIn(accounting, learned),
      ...arrivals.removed.map((removed) => ({ kind: 'logs.removed', removed }) as const),
      ...accounting.findings.filter((finding) => latestTimeOf(finding) >= fromMs),
      ...unreadableFindings(unreadable),
    ],
    undecided: accounting.undecided.flatMap((item) => inTime(item, fromMs)),
    accounting,
    ledger: learned,
    logs: marksAfter(arrivals.logs, state.logs, left),
    unreadable,
    unread: unread.files(),
    changed: new Set(
      [...arrivals.changed].flatMap(([name, files]) => (left.has(name) ? [] : files)),
    ),
    vaultFilesRemoved: arrivals.vaultFilesRemoved,
    returned: arrivals.returned,
    evidence,
    beginnings,
  }
}

/** What there is of that time and later, in the ledger and in logs. */
async function readFrom(
  fromMs: number,
  decidedUntilMs: number,
  state: RoundState,
  request: RoundRequest,
  { sources, looked }: Pick<ArrivedLogs, 'sources' | 'looked'>,
) {
  const readFromMs = fromMs === -Infinity ? fromMs : hourOf(fromMs - overlapMs) * hourMs
  const progress = new Counter(request.progress)
  const unread = new UnreadFiles()
  const beginnings = new LogBeginnings(state.sources, looked)
  const evidence = new EvidenceLookout(state, beginnings)
  const tap: Tap = { progress, unread, evidence }
  const span = { fromMs: readFromMs - overlapMs, decidedUntilMs }
  const window = ledgerWindow(request.ledger, state, span, (entries) => {
    progress.entries(entries)
  })
  const accounting = await account({
    ...request,
    applicationIds: [...(request.applicationIds ?? []), ...state.applicationIds],
    pages: () => window.pages(),
    earlier: {
      behind: window.behind,
      rows: window.recalled,
      coverage: coverageIn(state),
      principals: state.principals,
      droppedAt: droppedAtIn(state, beginnings, () => window.learned().writtenLate),
    },
    vaultRecords: () => since('vault', sources.vaultLogs, readFromMs, tap),
    ...(sources.signInLogs.length > 0 && {
      signIns: () => since('sign-ins', sources.signInLogs, readFromMs, tap),
    }),
    ...(sources.auditLogs.length > 0 && {
      audits: () => since('audits', sources.auditLogs, readFromMs, tap),
    }),
  })
  return { fromMs, accounting, learned: window.learned(), unread, evidence, beginnings }
}

/** What is learned of records as they pass. */
interface Tap {
  readonly progress: Counter
  readonly unread: UnreadFiles
  readonly evidence: EvidenceLookout
}

async function* since<Of extends LogRecord>(
  of: LogKind,
  sources: readonly LogSource<Of>[],
  fromMs: number,
  { progress, unread, evidence }: Tap,
): Batches<Of> {
  const takeUnread = unread.ofReading(of)
  for (const source of sources) {
    const log = logNameOf(of, source.name)
    const isLater = (record: Of | UnreadPlace | UnreadableLog) => {
      if (record.kind === 'unreadable') return true
      if (record.kind === 'unread') {
        takeUnread(record)
        return true
      }
      if (record.timeMs < fromMs) return false
      evidence.take(log, record)
      return true
    }
    for await (const batch of recordsOf([source], fromMs)) {
      progress.records(batch.length)
      const later = batch.filter(isLater)
      yield sources.length === 1 ? later : later.map((record) => readIn(log, record))
    }
  }
}

/** A copy, which takes its time: where there is one log alone it has them all. */
const readIn = <Of extends LogRecord>(log: string, record: Of | UnreadPlace | UnreadableLog) =>
  record.kind === 'unread' || record.kind === 'unreadable' ? record : { ...record, log }

/** What an earlier round has decided stays so when its record has grown old, but for what was written since. */
function droppedAtIn(
  state: RoundState,
  beginnings: LogBeginnings,
  writtenLate: () => WrittenLate,
): DroppedAt {
  const isUndecidedAt = undecidedTimes(state)
  let late: WrittenLate | undefined
  return (keyId, madeAtMs) => {
    const dropped = beginnings.droppedAt(keyId, madeAtMs)
    if (dropped === undefined) return undefined
    const isUndecided = isUndecidedAt({ keyId, madeAtMs })
    // A round reads what it has to decide: where nothing that old is among it, nothing that old was there.
    if (dropped === 'untold' && isUndecided) return undefined
    late ??= writtenLate()
    return isUndecided || late.happenedAt(madeAtMs) ? 'undecided' : 'decided'
  }
}

const coverageIn = ({ coverage }: RoundState): ReadonlyMap<string, Coverage> =>
  new Map(
    Object.entries(coverage).map(([vault, { fromMs, toMs, hours }]) => [
      vault,
      { fromMs, toMs, hours: new Map(hours) },
    ]),
  )

/** The chain may hold and be another one: whoever has read it before sees that. */
function rewritingIn({ findings }: Accounting, { rewritten }: LedgerLearned): readonly Finding[] {
  const isTold = findings.some(({ kind }) => kind === 'ledger.broken')
  if (rewritten === undefined || isTold) return []
  return [{ kind: 'ledger.broken', fault: { fault: 'evidence', reason: rewritten } }]
}

/** What it is about may go on; a ledger that is broken is so now. */
function latestTimeOf(finding: Finding): number {
  return finding.kind === 'logs.silent' ? finding.toMs : (timeOfFinding(finding) ?? Infinity)
}

/** What lies before was decided, or given up, by an earlier round. */
function inTime(item: Undecided, fromMs: number): readonly Undecided[] {
  if (item.fromMs === undefined || item.toMs === undefined || item.fromMs >= fromMs) return [item]
  return item.toMs < fromMs ? [] : [{ ...item, fromMs }]
}

class Counter {
  readonly #tell: ((read: Progress) => void) | undefined
  #entries = 0
  #records = 0

  constructor(tell: ((read: Progress) => void) | undefined) {
    this.#tell = tell
  }

  entries(count: number): void {
    this.#entries = count
    this.#say()
  }

  records(count: number): void {
    this.#records += count
    this.#say()
  }

  #say(): void {
    this.#tell?.({ entries: this.#entries, records: this.#records })
  }
}
