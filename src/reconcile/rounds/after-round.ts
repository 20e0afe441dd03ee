import { hourOf } from '../coverage.ts'
import type { Coverage } from '../coverage.ts'
import { severityOf } from '../finding.ts'
import type { Finding, LedgerBroken, LogsRemoved, Undecided, UndecidedReason } from '../finding.ts'
import { factsOf, summaries } from '../finding-text.ts'
import { parseKeyUrl, withoutPort } from '../key-name.ts'
import type { Verdict } from '../reconcile.ts'
import { findingIdOf, recordOf, removalOf, timeOfFinding } from './finding-id.ts'
import { inertText } from './inert-text.ts'
import { isNews } from './news.ts'
import { isExplained } from './resolution.ts'
import type { Round } from './round.ts'
import type { FindingEvent, KnownFinding, RoundState } from './round-state.ts'
import { unreadAfter, unreadFilesMax } from './unread-files.ts'
import type { UnreadFile } from './unread-files.ts'
import { isHiddenFrom, logNameOf, logWithRecordOf } from './log-kinds.ts'

/**
 * So long a round waits for hours that were not delivered, and for a log that has fallen silent. Then they are given
 * up, which is said for good, so that a round never has more to read than a day and what came late.
 */
const waitMaxMs = 24 * 60 * 60_000
/** Findings that are remembered; those that are resolved, or that no round looks at again, make room. */
export const findingsMax = 5000
/** What waits to be told. Whatever else is found waits in the logs, where the next round finds it again. */
export const eventsMax = 1000
/** Of either: the rest is kept for those of high severity, so that no flood of others keeps them out. */
const shareOfOthers = 0.8
/** A service has few identities, also over the years. */
const principalsMax = 1000
/** Hours of a vault's log that are remembered: no round begins so far back but for what came late. */
const hoursKept = 8 * 24

/**
 * The state behind a round: pure, so that whoever dies before it is saved begins the same round again.
 *
 * @param ledger See `ledgerIdOf`; null where that is unknown.
 * @param tookMs How long the round took.
 * @param tell Names of those who are told of what changes; nobody is told of the rest.
 */
export function afterRound(
  state: RoundState,
  round: Round,
  {
    ledger,
    tookMs,
    tell,
  }: { readonly ledger: string | null; readonly tookMs: number; readonly tell: readonly string[] },
): RoundState {
  const unread = unreadAfter(state.unread, round.unread, round.changed, round.nowMs)
  const found = { ...round, findings: round.findings.filter(isNews(state, round, unread)) }
  const { findings, events, ...held } = judged(state, found, ledger ?? '', tell)
  const isTooMuch = unread.length > unreadFilesMax || isAnyLeftOut(round)
  const heldBackFromMs = isTooMuch
    ? Math.max(round.fromMs, givenUpUntil(round))
    : held.heldBackFromMs
  const decidedUntilMs = decidedUntil(state, round, heldBackFromMs)
  const { accounting, ledger: learned } = round
  const undecidable = [
    ...round.undecided,
    ...(isTooMuch ? tooManyUntil(heldBackFromMs, round) : []),
  ]
  const leftUndecided = leftBehind(
    state.leftUndecided,
    { fromMs: round.fromMs, undecided: undecidable },
    decidedUntilMs,
  )
  const lookFromMs = Math.min(
    heldBackFromMs,
    undecidedUntilNowFromMs(state, leftUndecided, round),
    notDueFromMs(round, decidedUntilMs),
  )
  const isFound = held.heldBack > 0 || findings.some(isOpen)
  const undecided = undecidedWith(round.undecided, unread)
  const isUndecided = undecided.length + leftUndecided.length > 0
  return {
    version: 1,
    ledger,
    decidedUntilMs: decidedUntilMs === -Infinity ? null : decidedUntilMs,
    ...(lookFromMs === Infinity ? {} : { lookFromMs: Math.max(lookFromMs, epochMs) }),
    tip: linkText(learned.tip),
    marks: learned.marks.map((mark) => ({ ...linkText(mark), atMs: mark.atMs })),
    recalled: learned.recalled.map((row) => ({
      ...linkText(row),
      canonical: Buffer.from(row.canonical).toString(),
    })),
    applicationIds: [...accounting.watchedApplications],
    principals: accounting.principals.slice(0, principalsMax),
    coverage: coverageKept(round, decidedUntilMs),
    logs: round.logs,
    sources: round.beginnings.remembered(),
    unreadable: round.unreadable,
    leftUndecided,
    unread: unread.slice(0, unreadFilesMax),
    findings,
    events,
    lastRound: {
      atMs: round.nowMs,
      tookMs,
      verdict: verdictFrom({ isFound, isUndecided }),
      undecided,
      entries: learned.entries,
      records: accounting.vaultLog.records,
      signatures: accounting.vaultLog.signatures,
      unread: placesIn(unread),
      heldBack: held.heldBack,
    },
  }
}

/** No log has anything older. */
const epochMs = 0

const givenUpUntil = ({ nowMs, graceMs }: Round): number => nowMs - graceMs - waitMaxMs

/** Of more than is kept nobody knows what there is of a time that is looked at no more. */
function tooManyUntil(toMs: number, { fromMs }: Round): readonly Undecided[] {
  const reason = 'too-many' satisfies UndecidedReason
  return fromMs < toMs ? [{ reason, count: 1, fromMs: Math.max(fromMs, epochMs), toMs }] : []
}

/** What was left out has no time: it may be of any that was looked at. */
const isAnyLeftOut = ({ undecided }: Round): boolean =>
  undecided.some(({ reason }) => reason === 'too-many')

/** What earlier rounds left undecided for a reason that is no more. */
function undecidedUntilNowFromMs(
  state: RoundState,
  left: RoundState['leftUndecided'],
  { fromMs, isServiceKnown, accounting, unreadable }: Round,
): number {
  const away = new Set(unreadable.map(({ of, log }) => logNameOf(of, log)))
  const isAnyBack = state.unreadable.some(({ of, log }) => !away.has(logNameOf(of, log)))
  const isAnyNew = accounting.watchedApplications.length > state.applicationIds.length
  const over = new Set<string>([
    ...(isServiceKnown ? ['service-not-known' satisfies UndecidedReason] : []),
    ...(isAnyBack ? untilLogsAreBack : []),
    ...(isAnyNew ? ['change-of-unknown-application' satisfies UndecidedReason] : []),
  ])
  const before = left.filter((span) => span.fromMs < fromMs && over.has(span.reason))
  return Math.min(Infinity, ...before.map((span) => span.fromMs))
}

/** While one is away nothing is concluded from what others do not have. */
const untilLogsAreBack: readonly UndecidedReason[] = ['log-does-not-reach', 'hour-not-delivered']

/** Nothing of a decided time waits for its proof, but what was written later and dated back. */
function notDueFromMs({ accounting }: Round, decidedUntilMs: number): number {
  const { proofsNotDueFromMs = Infinity } = accounting.ledger
  return proofsNotDueFromMs < decidedUntilMs ? proofsNotDueFromMs : Infinity
}

const placesIn = (unread: readonly UnreadFile[]): number =>
  unread.reduce((sum, { count }) => sum + count, 0)

/** Places are counted wherever they were read, in this round or an earlier one. */
function undecidedWith(undecided: readonly Undecided[], unread: readonly UnreadFile[]) {
  const others = undecided.filter(({ reason }) => reason !== notUnderstood)
  const count = placesIn(unread)
  return [...others, ...(count === 0 ? [] : [{ reason: notUnderstood, count }])]
}

const notUnderstood = 'log-not-understood' satisfies UndecidedReason

/** What stands, whatever round found it, wins over what is undecided, whether it is waited for or not. */
function verdictFrom({
  isFound,
  isUndecided,
}: {
  readonly isFound: boolean
  readonly isUndecided: boolean
}): Verdict {
  if (isFound) return 'findings'
  return isUndecided ? 'undecided' : 'accounted-for'
}

export const isOpen = ({ resolvedAtMs }: Pick<KnownFinding, 'resolvedAtMs'>): boolean =>
  resolvedAtMs === undefined

interface Judged {
  readonly findings: KnownFinding[]
  readonly events: FindingEvent[]
  /** Findings for which there was no room, and the oldest of them; `Infinity` when there was for all. */
  readonly heldBack: number
  readonly heldBackFromMs: number
}

/** Holds what a round found to what was known: what is new, what is there still, and what is there no longer. */
function judged(state: RoundState, round: Round, ledger: string, tell: readonly string[]): Judged {
  const byId = new Map(
    state.findings.map((finding) => [finding.id, whereSeen(finding, round.evidence.seen)]),
  )
  const found = [...round.findings, ...withoutEvidence(state, round)]
    .toSorted(bySeverityThenTime)
    .map((finding) => ({ finding, id: idOf(finding, byId, ledger) }))
  const present = new Set(found.map(({ id }) => id))
  const events = [...state.events]
  let heldBack = 0
  let heldBackFromMs = Infinity
  for (const { finding, id } of found) {
    const before = byId.get(id)
    if (before !== undefined && isOpen(before)) continue
    if (!hasRoomFor(finding, events, byId, round, present)) {
      heldBack += 1
      heldBackFromMs = Math.min(heldBackFromMs, foundAgainFromMs(finding, round))
      continue
    }
    const known = knownFrom(id, finding, (before?.times ?? 0) + 1, round)
    byId.set(id, known)
    events.push(eventOf('finding.new', known, factsIn(finding), round.nowMs, tell))
  }
  const isLedgerWhole = !isBroken(found, byId)
  for (const known of byId.values()) {
    if (!isOpen(known) || present.has(known.id)) continue
    if (!isExplained(known, round, isLedgerWhole)) continue
    const resolved = { ...known, resolvedAtMs: round.nowMs }
    byId.set(known.id, resolved)
    events.push(eventOf('finding.resolved', resolved, [], round.nowMs, tell))
  }
  return {
    findings: [...byId.values()],
    events: events.filter(isPending),
    heldBack,
    heldBackFromMs,
  }
}

/** Where several logs have its record, it is missed in the last that had it. */
function whereSeen(known: KnownFinding, seen: ReadonlyMap<string, string>): KnownFinding {
  const log = logWithRecordOf[known.kind] === undefined ? undefined : seen.get(known.id)
  return log === undefined ? known : { ...known, log }
}

/** What stands, and whose record the log has no longer: it stands on, and that is told. */
function withoutEvidence(state: RoundState, round: Round): readonly LogsRemoved[] {
  return state.findings.flatMap((known) => {
    const { id, kind, atMs } = known
    if (!isOpen(known) || atMs === null || atMs < round.fromMs) return []
    if (isAway(known, round.unreadable)) return []
    if (!round.evidence.misses(known)) return []
    return [{ kind: 'logs.removed', removed: { what: 'record', of: id, ofKind: kind, atMs } }]
  })
}

/** Of a finding that an earlier version has found any log of its kind may have the record. */
const isAway = ({ kind, log }: KnownFinding, unreadable: Round['unreadable']): boolean =>
  log === undefined
    ? isHiddenFrom(kind, unreadable)
    : unreadable.some((one) => logNameOf(one.of, one.log) === log)

/** A ledger that could not be read may be whole again. */
const isBroken = (
  found: readonly { readonly finding: Finding }[],
  known: ReadonlyMap<string, KnownFinding>,
): boolean =>
  found.some(({ finding }) => finding.kind === 'ledger.broken') ||
  [...known.values()].some(
    (one) => one.kind === 'ledger.broken' && one.fault !== 'unreadable' && isOpen(one),
  )

const isPending = ({ pending }: FindingEvent): boolean => pending.length > 0

/**
 * From when on a round has to look to find it again; of files that are gone the mark of their log tells, and a log that
 * cannot be read is one whatever time is looked at.
 */
function foundAgainFromMs(finding: Finding, { nowMs }: Round): number {
  if (finding.kind === 'logs.unreadable') return Infinity
  if (finding.kind === 'logs.removed' && finding.removed.what === 'files') return Infinity
  return timeOfFinding(finding) ?? nowMs
}

const weights = { high: 0, medium: 1, low: 2 } as const

/** So that those for which there is no room are the lightest, and of these the newest. */
const bySeverityThenTime = (one: Finding, other: Finding): number =>
  weights[severityOf(one)] - weights[severityOf(other)] ||
  (timeOfFinding(one) ?? 0) - (timeOfFinding(other) ?? 0)

const idOf = (finding: Finding, byId: ReadonlyMap<string, KnownFinding>, ledger: string): string =>
  continuedId(finding, byId) ?? idKnownBefore(finding, byId) ?? findingIdOf(ledger, finding)

/** A silence goes on under the id that it began with, while its beginning moves out of what is looked at. */
function continuedId(
  finding: Finding,
  byId: ReadonlyMap<string, KnownFinding>,
): string | undefined {
  if (finding.kind !== 'logs.silent') return undefined
  return [...byId.values()].find((known) => known.vault === finding.vault && isOpen(known))?.id
}

/** What was found while nobody could tell which ledger it is goes on under the id that it was told with. */
function idKnownBefore(
  finding: Finding,
  byId: ReadonlyMap<string, KnownFinding>,
): string | undefined {
  const id = findingIdOf('', finding)
  return byId.has(id) ? id : undefined
}

/** Makes some, where none is left, by forgetting the oldest that no round will look at again. */
function hasRoomFor(
  finding: Finding,
  events: readonly FindingEvent[],
  byId: Map<string, KnownFinding>,
  round: Round,
  present: ReadonlySet<string>,
): boolean {
  // No later round finds it again, and there are few.
  if (finding.kind === 'ledger.broken') return true
  const share = severityOf(finding) === 'high' ? 1 : shareOfOthers
  if (events.length >= eventsMax * share) return false
  if (byId.size < findingsMax * share) return true
  const forgettable = [...byId.values()]
    .filter((known) => !present.has(known.id))
    .filter((known) => !isOpen(known) || (known.atMs ?? Infinity) < round.fromMs)
    .toSorted(
      (one, other) =>
        Number(isOpen(one)) - Number(isOpen(other)) || one.foundAtMs - other.foundAtMs,
    )
  const [oldest] = forgettable
  return oldest !== undefined && byId.delete(oldest.id)
}

function knownFrom(
  id: string,
  finding: Finding,
  times: number,
  { beginnings, nowMs }: Pick<Round, 'beginnings' | 'nowMs'>,
): KnownFinding {
  const log = logOf(finding, beginnings)
  return {
    id,
    kind: finding.kind,
    severity: severityOf(finding),
    atMs: timeOfFinding(finding) ?? null,
    ...(finding.kind === 'logs.silent' ? { vault: finding.vault } : {}),
    ...(finding.kind === 'ledger.broken' ? faultIn(finding) : {}),
    ...(log === undefined ? {} : { log }),
    ...(finding.kind === 'logs.removed' ? { removal: removalOf(finding) } : {}),
    ...(finding.kind === 'sign.unrecorded' ? { vaultRequestId: finding.vaultRequestId } : {}),
    summary: summaries[finding.kind](1),
    foundAtMs: nowMs,
    times,
  }
}

/** That cannot be read, or that has its record. */
function logOf(finding: Finding, beginnings: Round['beginnings']): string | undefined {
  if (finding.kind === 'logs.unreadable') return logNameOf(finding.of, finding.log)
  const record = recordOf(finding)
  return record && beginnings.logOf(record)
}

const faultIn = ({ fault }: LedgerBroken): Pick<KnownFinding, 'fault' | 'sequence'> =>
  fault.fault === 'unreadable'
    ? { fault: fault.fault, sequence: fault.sequence }
    : { fault: fault.fault }

const factsIn = (finding: Finding): [string, string][] =>
  factsOf(finding).map(([name, value]) => [name, inertText(value)])

function eventOf(
  event: FindingEvent['event'],
  { id, kind, severity, atMs, summary, times }: KnownFinding,
  facts: [string, string][],
  nowMs: number,
  tell: readonly string[],
): FindingEvent {
  return {
    // The same however often the round is begun again.
    id: `${id}-${event === 'finding.new' ? 'new' : 'resolved'}-${times}`,
    event,
    atMs: nowMs,
    finding: { id, kind, severity, atMs, summary, facts },
    pending: [...tell],
  }
}

/**
 * Until when nothing can change any more, but by what comes late: the grace is over, the logs of the watched vaults
 * reach beyond it, and nothing is waited for: no hour, and no proof. Never goes back.
 */
function decidedUntil(state: RoundState, round: Round, heldBackFromMs: number): number {
  const { nowMs, graceMs, accounting, undecided, findings } = round
  const reach = [...watchedCoverage(accounting)].map(({ toMs }) => toMs - graceMs)
  const waitedFor = undecided
    .filter(({ reason }) => reason === 'hour-not-delivered' || reason === 'log-does-not-reach')
    .map(({ fromMs = Infinity }) => fromMs)
  const silent = findings.map((finding) =>
    finding.kind === 'logs.silent' ? finding.fromMs : Infinity,
  )
  const unproved = accounting.ledger.proofsNotDueFromMs ?? Infinity
  const decided = Math.min(nowMs - graceMs, unproved, ...reach, ...waitedFor, ...silent)
  const reached = Math.min(Math.max(decided, givenUpUntil(round)), heldBackFromMs)
  return Math.max(state.decidedUntilMs ?? -Infinity, reached)
}

function watchedCoverage({ watchedKeys, vaultLog }: Round['accounting']): ReadonlySet<Coverage> {
  const vaults = watchedKeys
    .flatMap((url) => parseKeyUrl(url) ?? [])
    .flatMap((key) => [key.vault, withoutPort(key).vault])
  return new Set(vaults.flatMap((vault) => vaultLog.coverage.get(vault) ?? []))
}

/** These are decided by time alone. */
const young: ReadonlySet<string> = new Set([
  'record-too-young',
  'signature-too-young',
  'sign-in-too-young',
])

/** What was never decided, of the times that no round looks at again unless something comes late. */
function leftBehind(
  before: RoundState['leftUndecided'],
  { fromMs, undecided }: Pick<Round, 'fromMs' | 'undecided'>,
  decidedUntilMs: number,
): RoundState['leftUndecided'] {
  const spans = new Map(
    before
      .filter((span) => span.fromMs < fromMs)
      .map((span) => [span.reason, { ...span, toMs: Math.min(span.toMs, fromMs) }]),
  )
  for (const { reason, fromMs: from, toMs: to } of undecided) {
    if (young.has(reason) || from === undefined || to === undefined || from >= decidedUntilMs) {
      continue
    }
    const known = spans.get(reason)
    spans.set(reason, {
      reason,
      fromMs: Math.min(known?.fromMs ?? Infinity, from),
      toMs: Math.max(known?.toMs ?? -Infinity, Math.min(to, decidedUntilMs)),
    })
  }
  return [...spans.values()]
}

const linkText = ({
  sequence,
  hash,
}: {
  readonly sequence: number
  readonly hash: Uint8Array
}) => ({
  sequence,
  hash: Buffer.from(hash).toString('hex'),
})

/** Without the hours that a log has dropped as they grew old: nothing shows any more what was in them. */
function coverageKept(
  { accounting, beginnings }: Pick<Round, 'accounting' | 'beginnings'>,
  decidedUntilMs: number,
): RoundState['coverage'] {
  return Object.fromEntries(
    [...accounting.vaultLog.coverage].map(([vault, { fromMs, toMs, hours }]) => {
      const retiredUntilMs = beginnings.retiredUntilMs(vault)
      const oldest = Math.max(hourOf(decidedUntilMs) - hoursKept, hourOf(retiredUntilMs))
      const kept = [...hours].filter(([hour]) => hour >= oldest)
      return [vault, { fromMs: Math.max(fromMs, retiredUntilMs), toMs, hours: kept }]
    }),
  )
}
