import type { Undecided, UndecidedReason } from '../finding.ts'
import type { Verdict } from '../reconcile.ts'
import { coverageKept, decidedBy } from './decided.ts'
import { judged } from './judged.ts'
import { isOpen } from './known-finding.ts'
import { isNews } from './news.ts'
import type { Round } from './round.ts'
import type { RoundState } from './round-state.ts'
import { unreadAfter, unreadFilesMax } from './unread-files.ts'
import type { UnreadFile } from './unread-files.ts'

/** A service has few identities, also over the years. */
const principalsMax = 1000

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
  const { findings, events, heldBack, heldBackFromMs } = judged(state, found, ledger ?? '', tell)
  const isTooMuch = unread.length > unreadFilesMax
  const decided = decidedBy(state, round, { heldBackFromMs, isTooMuch })
  const { decidedUntilMs, leftUndecided, lookFromMs } = decided
  const { accounting, ledger: learned } = round
  const isFound = heldBack > 0 || findings.some(isOpen)
  const undecided = undecidedWith(round.undecided, unread)
  const isUndecided = undecided.length + leftUndecided.length > 0
  return {
    version: 1,
    ledger,
    decidedUntilMs: decidedUntilMs === -Infinity ? null : decidedUntilMs,
    ...(lookFromMs === Infinity ? {} : { lookFromMs }),
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
      heldBack,
    },
  }
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
