import { hourOf } from '../coverage.ts'
import type { Coverage } from '../coverage.ts'
import type { Undecided, UndecidedReason } from '../finding.ts'
import { parseKeyUrl, withoutPort } from '../key-name.ts'
import { logNameOf } from './log-kinds.ts'
import type { Round } from './round.ts'
import type { RoundState } from './round-state.ts'

/**
 * So long a round waits for hours that were not delivered, and for a log that has fallen silent. Then they are given
 * up, which is said for good, so that a round never has more to read than a day and what came late.
 */
const waitMaxMs = 24 * 60 * 60_000
/** Hours of a vault's log that are remembered: no round begins so far back but for what came late. */
const hoursKept = 8 * 24

/** How far a round has come, and from where the next one has to look. */
export interface Decided {
  /** `-Infinity`: nothing is decided. */
  readonly decidedUntilMs: number
  readonly leftUndecided: RoundState['leftUndecided']
  /** `Infinity`: from there. */
  readonly lookFromMs: number
}

/**
 * @param heldBackFromMs Of the oldest finding for which there was no room; `Infinity` when there was for all.
 * @param isTooMuch Whether there is more that is not understood than is kept.
 */
export function decidedBy(
  state: RoundState,
  round: Round,
  { heldBackFromMs, isTooMuch }: { readonly heldBackFromMs: number; readonly isTooMuch: boolean },
): Decided {
  const isMore = isTooMuch || isAnyLeftOut(round)
  const backFromMs = isMore ? Math.max(round.fromMs, givenUpUntil(round)) : heldBackFromMs
  const decidedUntilMs = decidedUntil(state, round, backFromMs)
  const undecided = [...round.undecided, ...(isMore ? tooManyUntil(backFromMs, round) : [])]
  const { fromMs } = round
  const leftUndecided = leftBehind(state.leftUndecided, { fromMs, undecided }, decidedUntilMs)
  const lookFromMs = Math.min(
    backFromMs,
    undecidedUntilNowFromMs(state, leftUndecided, round),
    notDueFromMs(round, decidedUntilMs),
  )
  return { decidedUntilMs, leftUndecided, lookFromMs: Math.max(lookFromMs, epochMs) }
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
  const isAnyBack = state.unreadable.some(
    ({ of, log }) => of !== 'ledger' && !away.has(logNameOf(of, log)),
  )
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

/** Without the hours that a log has dropped as they grew old: nothing shows any more what was in them. */
export function coverageKept(
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
