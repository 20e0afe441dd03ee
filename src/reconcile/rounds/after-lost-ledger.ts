import { findingIdOf } from './finding-id.ts'
import { eventsMax } from './judged.ts'
import { eventOf, factsIn, isOpen, knownFrom } from './known-finding.ts'
import type { RoundState } from './round-state.ts'
import { unreadableFindings } from './unreadable-logs.ts'

/** That a round could not read the ledger. */
export interface LostLedger {
  /** Path of a file, or URL of a database without role and password. */
  readonly name: string
  /** One sentence, which names the ledger. */
  readonly why: string
  readonly nowMs: number
}

/**
 * The state behind a round that could not read the ledger: nothing was looked at, so that nothing is decided or taken
 * back. After some rounds in a row that is a finding, as of a log that cannot be read, and the next one that can read
 * it resolves it.
 *
 * @param tell See `afterRound`.
 */
export function afterLostLedger(
  state: RoundState,
  lost: LostLedger,
  tell: readonly string[],
): RoundState {
  const unreadable = [...state.unreadable.filter(({ of }) => of !== 'ledger'), lostSo(state, lost)]
  const next = toldOf({ ...state, unreadable }, lost, tell)
  if (state.lastRound === null) return next
  const others = state.lastRound.undecided.filter(({ reason }) => reason !== 'log-unreadable')
  return {
    ...next,
    lastRound: {
      ...state.lastRound,
      verdict: next.findings.some(isOpen) ? 'findings' : 'undecided',
      undecided: [...others, { reason: 'log-unreadable', count: unreadable.length }],
    },
  }
}

function lostSo(state: RoundState, { name, why, nowMs }: LostLedger) {
  const before = state.unreadable.find(({ of }) => of === 'ledger')
  const { sinceMs = nowMs, rounds = 0 } = before ?? {}
  return { of: 'ledger' as const, log: name, code: 'LEDGER', why, sinceMs, rounds: rounds + 1 }
}

/** Where there is no room the next round finds it again. */
function toldOf(state: RoundState, { nowMs }: LostLedger, tell: readonly string[]): RoundState {
  const [finding] = unreadableFindings(state.unreadable.filter(({ of }) => of === 'ledger'))
  if (finding === undefined) return state
  const id = findingIdOf(state.ledger ?? '', finding)
  const before = state.findings.find((known) => known.id === id)
  const others = state.findings.filter((known) => known.id !== id)
  if (before !== undefined && isOpen(before)) return state
  if (state.events.length >= eventsMax) return state
  const known = knownFrom(id, finding, (before?.times ?? 0) + 1, { nowMs })
  const event = eventOf('finding.new', known, factsIn(finding), nowMs, tell)
  return { ...state, findings: [...others, known], events: [...state.events, event] }
}
