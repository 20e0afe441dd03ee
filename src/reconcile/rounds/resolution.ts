import { hourOf } from '../coverage.ts'
import type { Undecided, UndecidedReason } from '../finding.ts'
import type { Round } from './round.ts'
import type { KnownFinding } from './round-state.ts'
import { isHiddenFrom, isOfKind } from './log-kinds.ts'

/**
 * Whether a finding that a round did not find again is explained, which takes more than that: its evidence was read
 * again, and what it is held to. Whoever removes evidence resolves nothing.
 *
 * @param isLedgerWhole Of a ledger that is broken nothing explains anything.
 */
export function isExplained(known: KnownFinding, round: Round, isLedgerWhole: boolean): boolean {
  const { id, kind, atMs, fault, vault } = known
  const { seen } = round.evidence
  if (isBack(known, round)) return kind !== 'sign.unrecorded' || isLedgerWhole
  if (isHiddenFrom(kind, round.unreadable)) return false
  switch (kind) {
    // A chain that did not hold is not mended by itself.
    case 'ledger.broken':
      return fault === 'unreadable' && isLedgerWhole && wasReadAgain(known, round)
    case 'logs.unreadable':
      return isReadAgain(known, round)
    case 'logs.silent':
      return atMs !== null && hasHour(round, vault ?? '', atMs)
    // No later record makes that undone.
    case 'key.exposed':
    case 'key.changed':
    case 'application.changed':
    // See `isBack`.
    case 'logs.removed':
      return false
    case 'sign.unrecorded':
      return known.vaultRequestId === undefined && isLedgerWhole && wasLookedAt(known, round)
    case 'sign.unproved':
      return isLedgerWhole && wasLookedAt(known, round) && (atMs ?? 0) >= round.ledger.fromMs
    case 'sign.unexplained':
    case 'sign.assumed':
    case 'sign.differs':
    case 'sign.repeated':
    case 'sign.foreign-identity':
    case 'sign.unexpected-address':
    case 'sign.refused-elsewhere':
    case 'signin.unexplained':
    case 'signin.ambiguous':
    case 'signin.foreign-credential':
      return isLedgerWhole && wasLookedAt(known, round) && seen.has(id)
  }
}

/** What was gone, or missing, was read. It shows in one round alone, whatever other log is away in it. */
function isBack({ id, kind, removal, vaultRequestId }: KnownFinding, round: Round): boolean {
  const { seen } = round.evidence
  if (kind === 'logs.removed') {
    return removal !== undefined && (round.returned.has(removal) || seen.has(removal))
  }
  return kind === 'sign.unrecorded' && vaultRequestId !== undefined && seen.has(id)
}

/** One that is named no more is not back. Which one it was an earlier version has not written. Each round reads the ledger. */
const isReadAgain = ({ log }: KnownFinding, { logs }: Round): boolean =>
  log === undefined || logs[log] !== undefined || isOfKind('ledger', log)

/** Which entry it was an earlier version has not written: then nobody can say. */
const wasReadAgain = ({ sequence }: KnownFinding, { ledger }: Round): boolean =>
  sequence !== undefined && ledger.behind.sequence < sequence && ledger.tip.sequence >= sequence

const hasHour = ({ accounting }: Round, vault: string, atMs: number): boolean =>
  accounting.vaultLog.coverage.get(vault)?.hours.has(hourOf(atMs)) ?? false

/** In a time of the round, and not among what was left undecided. */
function wasLookedAt({ atMs }: KnownFinding, { fromMs, undecided }: Round): boolean {
  return atMs !== null && atMs >= fromMs && !undecided.some((item) => mayHide(item, atMs))
}

/** These take the place of a finding. */
const hiding: ReadonlySet<UndecidedReason> = new Set([
  'record-too-young',
  'sign-in-too-young',
  'ledger-pruned',
  'sign-in-before-ledger',
  'service-not-known',
  'proof-without-certificate',
  'too-many',
])

const mayHide = (
  { reason, fromMs = -Infinity, toMs = Infinity }: Undecided,
  atMs: number,
): boolean => hiding.has(reason) && atMs >= fromMs && atMs <= toMs
