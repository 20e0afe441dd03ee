import { severityOf } from '../finding.ts'
import type { Finding, LogsRemoved } from '../finding.ts'
import { findingIdOf, timeOfFinding } from './finding-id.ts'
import { eventOf, factsIn, isOpen, knownFrom } from './known-finding.ts'
import { isHiddenFrom, logNameOf, logWithRecordOf } from './log-kinds.ts'
import { isExplained } from './resolution.ts'
import type { Round } from './round.ts'
import type { FindingEvent, KnownFinding, RoundState } from './round-state.ts'

/** Findings that are remembered; those that are resolved, or that no round looks at again, make room. */
const findingsMax = 5000
/** What waits to be told. Whatever else is found waits in the logs, where the next round finds it again. */
export const eventsMax = 1000
/** Of either: the rest is kept for those of high severity, so that no flood of others keeps them out. */
const shareOfOthers = 0.8

export interface Judged {
  readonly findings: KnownFinding[]
  readonly events: FindingEvent[]
  /** Findings for which there was no room, and the oldest of them; `Infinity` when there was for all. */
  readonly heldBack: number
  readonly heldBackFromMs: number
}

/** Holds what a round found to what was known: what is new, what is there still, and what is there no longer. */
export function judged(
  state: RoundState,
  round: Round,
  ledger: string,
  tell: readonly string[],
): Judged {
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
