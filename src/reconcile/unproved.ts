import type { SignUnproved, UnprovedReason } from './finding.ts'
import { evidenceMax } from './kept-evidence.ts'
import type { EntryEvidence } from './ledger-evidence.ts'
import type { LedgerFacts } from './ledger-facts.ts'
import type { MatchOptions } from './sign-match.ts'
import { UndecidedCounts } from './undecided.ts'

/** Signatures of the ledger without a proof, as far as it can be said already. */
export interface Unproved {
  /** That should have been proved, with what is wrong. */
  readonly reasons: ReadonlyMap<number, UnprovedReason>
  /** To be proved later: their assertions live, or nobody has waited long enough. */
  readonly notDue: number
  /** When the first of these was settled; `Infinity`: there is none. */
  readonly notDueFromMs: number
  readonly undecided: UndecidedCounts
  /** More than are kept. */
  readonly left: number
}

/** The service publishes what was signed when it has been dead for so long. */
const deadAfterMs = 600_000
/** By which clocks of replicas differ. */
const clockDifferenceMs = 5000

export function unprovedFrom(
  { answered, proofFaults, runsMs }: LedgerFacts,
  { nowMs, graceMs }: MatchOptions,
): Unproved {
  const reasons = new Map<number, UnprovedReason>()
  const undecided = new UndecidedCounts()
  const runs = runsMs.toSorted((one, other) => one - other)
  let notDue = 0
  let notDueFromMs = Infinity
  let left = 0
  for (let ordinal = 0; ordinal < answered.size; ordinal += 1) {
    if (answered.ending(ordinal) !== 'made' || answered.isProved(ordinal)) continue
    // Of another finding, or from before what is left of the ledger.
    if (!answered.wasBegun(ordinal)) continue
    const fault = proofFaults.get(ordinal)
    const dueMs = answered.endsAtMs(ordinal) + deadAfterMs
    if (fault === 'without-certificate') {
      undecided.add('proof-without-certificate', answered.settledAtMs(ordinal))
    } else if (fault === undefined && dueMs + graceMs > nowMs) {
      notDue += 1
      notDueFromMs = Math.min(notDueFromMs, answered.settledAtMs(ordinal))
    } else if (reasons.size < evidenceMax) {
      const fromMs = answered.settledAtMs(ordinal) - clockDifferenceMs
      const missing = isAnyIn(runs, fromMs, dueMs) ? 'process-ended' : 'missing'
      reasons.set(ordinal, fault ?? missing)
    } else left += 1
  }
  return { reasons, notDue, notDueFromMs, undecided, left }
}

/** @param times Ascending. */
function isAnyIn(times: readonly number[], fromMs: number, toMs: number): boolean {
  let [low, high] = [0, times.length]
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((times[middle] ?? Infinity) < fromMs) low = middle + 1
    else high = middle
  }
  return (times[low] ?? Infinity) <= toMs
}

export function unprovedFindings(
  { reasons }: Unproved,
  evidence: EntryEvidence,
): readonly SignUnproved[] {
  return [...reasons].flatMap(([ordinal, because]) => {
    const { signature, begun, outcome } = evidence.answered.get(ordinal) ?? {}
    if (signature === undefined || outcome === undefined) return []
    const { vaultRequestId = '', atMs } = outcome
    return [
      {
        kind: 'sign.unproved' as const,
        signature,
        vaultRequestId,
        madeAtMs: atMs,
        because,
        ...(begun === undefined ? {} : { attempt: begun.attempt, keyId: begun.keyId }),
      },
    ]
  })
}
