import type { EntryEvidence, WantedEvidence } from './ledger-evidence.ts'
import type { Expectations } from './expectations.ts'
import type { Difference, Finding } from './finding.ts'
import { evidenceMax, KeptEvidence } from './kept-evidence.ts'
import type { LedgerFacts } from './ledger-facts.ts'
import { matchedByNonce } from './lost-replies.ts'
import { differencesFrom } from './sign-difference.ts'
import { bySuccessThenTime, fingerprintOf, identityOf, isSuccess } from './sign-record-identity.ts'
import { signatureNonceSha256 } from './signature-nonce.ts'
import { UndecidedCounts } from './undecided.ts'
import type { SignRecord } from './vault-record.ts'
import type { Watch } from './watch.ts'

/**
 * Joins the signatures of the ledger to those of the vault's log, in memory that depends on neither's length
 * but for 35 bytes a signature:
 *
 * 1. The ledger is read once, from end to end. A signature is whole in memory from `begun` to its end, then
 *    only as a row of `SignatureBook`: the 16 bytes of the vault's id in a hash index, two times, numbers for
 *    key and algorithm, flags. Those that were never answered stay whole, because their records must be found
 *    by nonce; they are as many as replies were lost.
 * 2. The log is read once, in whatever order it lies there; an index needs no order, and records may be late
 *    by any time. A record whose id is known is compared at once and leaves a flag and 32 bits of a
 *    hash, by which its repetitions are told from a second signature under the same id. Whatever fits is
 *    forgotten; what does not is kept whole, up to a bound of each kind.
 * 3. What is left is evidence: signatures without a record, records without a signature. If there are any, the
 *    ledger is read again for what it says of them, and the log for ids that have several records, so that
 *    which of them came first decides nothing.
 *
 * A window that moves over both streams would need less memory, and an order that exports do not have; a
 * temporary database would need none, and take longer for its inserts than all else together.
 */
export class SignMatcher {
  readonly #ledger: LedgerFacts
  readonly #watch: Watch
  readonly #expectations: Expectations
  /** Object ids that earlier readings showed to be ours. */
  readonly #knownPrincipals: ReadonlySet<string>
  /** Do not fit although the ledger knows their ids; by id. */
  readonly #misfits = new KeptEvidence<MisfitRecord>()
  /** Signatures by watched keys that the ledger does not know by id. */
  readonly #strangers = new KeptEvidence<SignRecord>()
  /** Requests to watched keys that were refused. */
  readonly #refused = new KeptEvidence<SignRecord>()
  readonly #repeatedIds = new Set<string>()
  /** By object id, with how many of our explained signatures each has asked for. */
  readonly #ourPrincipals = new Map<string, number>()
  readonly #agreed = new KeptEvidence<true>()
  #explained = 0
  #signatures = 0
  #duplicates = 0
  /** Records whose ids are too many to be looked at again. */
  #left = 0

  constructor(
    ledger: LedgerFacts,
    watch: Watch,
    expectations: Expectations,
    knownPrincipals: Iterable<string> = [],
  ) {
    this.#ledger = ledger
    this.#watch = watch
    this.#expectations = expectations
    this.#knownPrincipals = new Set(knownPrincipals)
  }

  take(record: SignRecord): void {
    const { answered } = this.#ledger
    const known = record.correlationId === '' ? undefined : answered.find(record.correlationId)
    if (known === undefined) this.#takeStranger(record)
    else if (!answered.isRecorded(known)) this.#join(known, record)
    else if (answered.isRecordedAs(known, fingerprintOf(record))) this.#duplicates += 1
    else if (this.#repeatedIds.size < evidenceMax) this.#repeatedIds.add(record.correlationId)
    else if (!this.#repeatedIds.has(record.correlationId)) this.#left += 1
  }

  /** Ids with several records: all of them have to be handed to `resolve`. */
  get repeatedIds(): ReadonlySet<string> {
    return this.#repeatedIds
  }

  /** All records of the repeated ids, in any order and however often. */
  resolve(records: readonly SignRecord[]): void {
    const byId = Map.groupBy(records, ({ correlationId }) => correlationId)
    for (const [id, delivered] of byId) {
      const ordinal = this.#ledger.answered.find(id)
      const distinct = [
        ...new Map(delivered.map((record) => [identityOf(record), record])).values(),
      ]
      const [first, ...others] = distinct.toSorted(bySuccessThenTime)
      if (ordinal === undefined || first === undefined) continue
      const joined = distinct.find((record) => this.#isJoined(ordinal, record))
      if (joined !== undefined) this.#takeBack(ordinal, joined)
      this.#join(ordinal, first)
      for (const record of others.filter(isSuccess)) {
        this.#signatures += 1
        this.#misfits.add(identityOf(record), {
          ordinal,
          record,
          misfit: { kind: 'repeats', first },
        })
      }
    }
  }

  summary(): SignSummary {
    return {
      signatures: this.#signatures,
      explained: this.#explained,
      duplicates:
        this.#duplicates +
        this.#agreed.repeated +
        this.#strangers.repeated +
        this.#refused.repeated,
      agreed: this.#agreed.items.length + this.#agreed.left,
      leftOut: this.#left + this.#misfits.left + this.#strangers.left + this.#refused.left,
    }
  }

  /** Object ids that asked for our explained signatures, in this reading or an earlier one. */
  get principals(): ReadonlySet<string> {
    return new Set([...this.#knownPrincipals, ...this.#ourPrincipals.keys()])
  }

  /** What the ledger must be asked about before `findings`. */
  wanted(): WantedEvidence {
    const nonces = this.#strangers.items.flatMap(({ nonce }) =>
      nonce === undefined ? [] : [signatureNonceSha256(nonce)],
    )
    return {
      answered: new Set(this.#misfits.items.map(({ ordinal }) => ordinal)),
      nonces: new Set(nonces),
    }
  }

  findings(evidence: EntryEvidence, options: MatchOptions): Matches {
    const undecided = new UndecidedCounts()
    const decidedUntilMs = options.nowMs - options.graceMs
    const { prunedUntilMs = -Infinity } = this.#ledger
    const old = this.#strangers.items.filter(
      ({ timeMs }) => timeMs <= decidedUntilMs && timeMs > prunedUntilMs,
    )
    for (const { timeMs } of this.#strangers.items) {
      if (timeMs <= prunedUntilMs) undecided.add('ledger-pruned', timeMs)
      else if (timeMs > decidedUntilMs) undecided.add('record-too-young', timeMs)
    }
    const refused = this.#refusedOfOthers()
    if (!this.#knowsUs) for (const { timeMs } of refused) undecided.add('service-not-known', timeMs)
    return {
      findings: [
        ...matchedByNonce(old.toSorted(bySuccessThenTime), this.#ledger.lost, evidence, (record) =>
          this.#mayBeOurs(record),
        ),
        ...this.#misfits.items
          .toSorted((one, other) => bySuccessThenTime(one.record, other.record))
          .map((misfit) => findingOf(misfit, evidence)),
        ...(this.#knowsUs ? refused : []).map(
          (record) => ({ kind: 'sign.refused-elsewhere', record }) as const,
        ),
      ],
      undecided: undecided.list(),
    }
  }

  #takeStranger(record: SignRecord): void {
    if (!this.#watch.watches(record.key)) return
    if (isSuccess(record)) {
      if (this.#expectations.isAgreed(record.oid, record.key)) {
        if (this.#agreed.add(identityOf(record), true)) this.#signatures += 1
      } else if (this.#strangers.add(identityOf(record), record)) this.#signatures += 1
    } else if (record.httpStatusCode === 401 || record.httpStatusCode === 403) {
      // A client's first request has no token by design: nobody is proven there.
      if (record.oid !== undefined) this.#refused.add(identityOf(record), record)
    }
  }

  #join(ordinal: number, record: SignRecord): void {
    const { answered } = this.#ledger
    answered.record(ordinal, fingerprintOf(record))
    if (isSuccess(record)) this.#signatures += 1
    const differences = differencesFrom(answered, ordinal, record)
    const [misfit, ...more] = [
      ...(differences.length === 0 ? [] : [{ kind: 'differs', differences } as const]),
      ...this.#strangenessOf(record),
    ]
    if (misfit !== undefined) {
      this.#misfits.add(record.correlationId, { ordinal, record, misfit })
      for (const [index, other] of more.entries()) {
        this.#misfits.add(`${record.correlationId} ${index}`, { ordinal, record, misfit: other })
      }
    } else if (isSuccess(record)) {
      answered.explain(ordinal)
      this.#explained += 1
      this.#countPrincipal(record, 1)
    }
  }

  #isJoined(ordinal: number, record: SignRecord): boolean {
    return this.#ledger.answered.isRecordedAs(ordinal, fingerprintOf(record))
  }

  /** As before `joined`, which was the first of its id to come. */
  #takeBack(ordinal: number, joined: SignRecord): void {
    const { answered } = this.#ledger
    const id = joined.correlationId
    if (answered.isExplained(ordinal)) {
      this.#explained -= 1
      this.#countPrincipal(joined, -1)
    }
    answered.unexplain(ordinal)
    if (isSuccess(joined)) this.#signatures -= 1
    this.#misfits.remove(id)
    for (const index of [0, 1]) this.#misfits.remove(`${id} ${index}`)
  }

  #countPrincipal({ oid }: SignRecord, by: number): void {
    if (oid === undefined) return
    const count = (this.#ourPrincipals.get(oid) ?? 0) + by
    if (count === 0) this.#ourPrincipals.delete(oid)
    else this.#ourPrincipals.set(oid, count)
  }

  #strangenessOf(record: SignRecord): readonly MisfitKind[] {
    const isForeign = this.#expectations.isOurPrincipal(record.oid) === false
    const isElsewhere = this.#expectations.isOurAddress(record.callerIpAddress) === false
    if (!isSuccess(record)) return []
    return [
      ...(isForeign ? [{ kind: 'is-foreign' } as const] : []),
      ...(isElsewhere ? [{ kind: 'is-elsewhere' } as const] : []),
    ]
  }

  /** By what was said, or else by what our explained signatures say. */
  #mayBeOurs({ oid }: SignRecord): boolean {
    const said = this.#expectations.isOurPrincipal(oid)
    if (said !== undefined) return said
    return !this.#knowsUs || (oid !== undefined && this.#isKnown(oid))
  }

  #isKnown(oid: string): boolean {
    return this.#ourPrincipals.has(oid) || this.#knownPrincipals.has(oid)
  }

  get #knowsUs(): boolean {
    const isSaid = this.#expectations.isOurPrincipal('') !== undefined
    return isSaid || this.#ourPrincipals.size > 0 || this.#knownPrincipals.size > 0
  }

  /** Where nobody knows who we are, those that may be. */
  #refusedOfOthers(): readonly SignRecord[] {
    return this.#refused.items
      .filter((record) => !this.#knowsUs || !this.#mayBeOurs(record))
      .filter(({ oid, key }) => !this.#expectations.isAgreed(oid, key))
      .toSorted(bySuccessThenTime)
  }
}

export interface MatchOptions {
  readonly nowMs: number
  /** How late a record may arrive, and how long the ledger may take to learn of an answer. */
  readonly graceMs: number
}

export interface Matches {
  readonly findings: readonly Finding[]
  readonly undecided: ReturnType<UndecidedCounts['list']>
}

export interface SignSummary {
  /** By the watched keys, or known to the ledger. */
  readonly signatures: number
  /** In the log, known to the ledger by the vault's id, and described as the log does. */
  readonly explained: number
  /** Deliveries of a record that came before. */
  readonly duplicates: number
  /** By others, as was agreed. */
  readonly agreed: number
  /** Counted, and too many to be kept. */
  readonly leftOut: number
}

/** A record whose id the ledger has, and what is wrong with it. */
interface MisfitRecord {
  readonly ordinal: number
  readonly record: SignRecord
  readonly misfit: MisfitKind
}

type MisfitKind =
  | { readonly kind: 'differs'; readonly differences: readonly Difference[] }
  | { readonly kind: 'is-foreign' }
  | { readonly kind: 'is-elsewhere' }
  | { readonly kind: 'repeats'; readonly first: SignRecord }

function findingOf({ ordinal, record, misfit }: MisfitRecord, evidence: EntryEvidence): Finding {
  const facts = evidence.answered.get(ordinal)
  const joined = {
    record,
    signature: facts?.signature ?? '',
    ...(facts?.begun === undefined ? {} : { attempt: facts.begun.attempt }),
  }
  switch (misfit.kind) {
    case 'differs':
      return { kind: 'sign.differs', ...joined, differences: misfit.differences }
    case 'is-foreign':
      return { kind: 'sign.foreign-identity', ...joined }
    case 'is-elsewhere':
      return { kind: 'sign.unexpected-address', ...joined }
    case 'repeats':
      return { kind: 'sign.repeated', ...joined, first: misfit.first }
  }
}
