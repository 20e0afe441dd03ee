import { reachOf } from './coverage.ts'
import type { Coverage } from './coverage.ts'
import type { LogsSilent, SignUnrecorded } from './finding.ts'
import { evidenceMax } from './kept-evidence.ts'
import { parseKeyUrl } from './key-name.ts'
import type { EntryEvidence } from './ledger-evidence.ts'
import type { LedgerFacts } from './ledger-facts.ts'
import { clockDifferenceMs } from './sign-difference.ts'
import type { MatchOptions } from './sign-match.ts'
import type { SignatureFacts } from './signature-book.ts'
import { UndecidedCounts } from './undecided.ts'

/** Signatures that the ledger has and the log has not, as far as it can be said already. */
export interface Missing {
  /** Where the log, late as it may be, would have them. */
  readonly ordinals: readonly number[]
  readonly claimedAgain: readonly SignatureFacts[]
  readonly silent: readonly LogsSilent[]
  readonly undecided: UndecidedCounts
  /** More than are kept. */
  readonly left: number
}

/**
 * Whether the vault's log may have dropped the record of a signature as it grew old, and whether that signature was
 * decided before; undefined: it has dropped nothing of then.
 */
export type DroppedAt = (keyId: string, madeAtMs: number) => 'decided' | 'undecided' | undefined

/** @param options.droppedAt Absent: a log has all that it ever had. */
export function missingFrom(
  ledger: LedgerFacts,
  coverage: ReadonlyMap<string, Coverage>,
  { nowMs, graceMs, droppedAt }: MatchOptions & { readonly droppedAt?: DroppedAt | undefined },
): Missing {
  const { answered } = ledger
  const undecided = new UndecidedCounts()
  const silence = new Silence()
  const ordinals: number[] = []
  let left = 0
  const judge = (keyId: string, begunAtMs: number | undefined, madeAtMs: number): boolean => {
    if (madeAtMs > nowMs - graceMs) {
      undecided.add('signature-too-young', madeAtMs)
      return false
    }
    const dropped = droppedAt?.(keyId, madeAtMs)
    if (dropped === 'decided') return false
    const covered = coverageOf(keyId, coverage)
    // The vault may have signed at any time between the two entries, and tells it by a clock of its own.
    const reach =
      begunAtMs === undefined || dropped !== undefined
        ? 'does-not-reach'
        : reachOf(covered, begunAtMs - clockDifferenceMs, madeAtMs, graceMs)
    if (reach === 'covered') return true
    undecided.add(reach === 'hour-missing' ? 'hour-not-delivered' : 'log-does-not-reach', madeAtMs)
    return false
  }
  for (let ordinal = 0; ordinal < answered.size; ordinal += 1) {
    if (answered.isRecorded(ordinal) || answered.ending(ordinal) !== 'made') continue
    const keyId = answered.keyId(ordinal)
    const madeAtMs = answered.settledAtMs(ordinal)
    const begunAtMs = answered.wasBegun(ordinal) ? answered.begunAtMs(ordinal) : undefined
    const isHead = answered.isHead(ordinal) && madeAtMs <= nowMs - graceMs
    const isKept = droppedAt?.(keyId, madeAtMs) === undefined
    if (isHead && isKept && silence.take(keyId, madeAtMs, coverageOf(keyId, coverage))) continue
    if (!judge(keyId, begunAtMs, madeAtMs)) continue
    if (ordinals.length < evidenceMax) ordinals.push(ordinal)
    else left += 1
  }
  const claimedAgain = ledger.claimedAgain.filter(
    ({ begun, outcome }) =>
      outcome?.kind === 'signature.made' && judge(begun?.keyId ?? '', begun?.atMs, outcome.atMs),
  )
  return { ordinals, claimedAgain, silent: silence.findings(), undecided, left }
}

/** What the ledger says of them, whole. */
export function missingFindings(
  missing: Missing,
  { answered }: EntryEvidence,
): readonly (SignUnrecorded | LogsSilent)[] {
  return [
    ...missing.ordinals.flatMap((ordinal) => unrecordedFrom(answered.get(ordinal))),
    ...missing.claimedAgain.flatMap((facts) => unrecordedFrom(facts)),
    ...missing.silent,
  ]
}

/** Hosts of keys by their URLs: a ledger names few. */
function coverageOf(keyId: string, coverage: ReadonlyMap<string, Coverage>): Coverage | undefined {
  const key = parseKeyUrl(keyId)
  return key === undefined ? undefined : coverage.get(key.vault)
}

/** Hours in which heads were signed and the log has nothing at all, from its first record on. */
class Silence {
  readonly #vaults = new Map<string, { heads: number; fromMs: number; toMs: number }>()

  /** Whether the log is silent about a head that was signed then. */
  take(keyId: string, madeAtMs: number, coverage: Coverage | undefined): boolean {
    const vault = parseKeyUrl(keyId)?.vault
    if (vault === undefined || coverage === undefined || madeAtMs < coverage.fromMs) return false
    if (reachOf({ ...coverage, toMs: Infinity }, madeAtMs, madeAtMs, 0) !== 'hour-missing') {
      return false
    }
    const { heads, fromMs, toMs } = this.#vaults.get(vault) ?? {
      heads: 0,
      fromMs: Infinity,
      toMs: -Infinity,
    }
    this.#vaults.set(vault, {
      heads: heads + 1,
      fromMs: Math.min(fromMs, madeAtMs),
      toMs: Math.max(toMs, madeAtMs),
    })
    return true
  }

  findings(): readonly LogsSilent[] {
    return [...this.#vaults].map(([vault, silence]) => ({ kind: 'logs.silent', vault, ...silence }))
  }
}

function unrecordedFrom(facts: SignatureFacts | undefined): readonly SignUnrecorded[] {
  if (facts?.outcome?.vaultRequestId === undefined) return []
  const { signature, begun, outcome } = facts
  return [
    {
      kind: 'sign.unrecorded',
      signature,
      vaultRequestId: facts.outcome.vaultRequestId,
      madeAtMs: outcome.atMs,
      ...(begun === undefined ? {} : { attempt: begun.attempt, keyId: begun.keyId }),
    },
  ]
}
