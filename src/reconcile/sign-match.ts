import { isoTimeFrom } from '../base/clock.ts'
import { reachOf } from './coverage.ts'
import type { Coverage } from './coverage.ts'
import type { EntryEvidence, WantedEvidence } from './ledger-evidence.ts'
import type { Expectations } from './expectations.ts'
import type {
  Difference,
  Finding,
  LogsSilent,
  SignAssumed,
  SignUnexplained,
  SignUnrecorded,
} from './finding.ts'
import { KeptEvidence } from './kept-evidence.ts'
import { keyNameText, keyVersionText, parseKeyUrl, withoutPort } from './key-name.ts'
import type { KeyVersion } from './key-name.ts'
import type { LedgerFacts } from './ledger-facts.ts'
import type { BegunFacts, SignatureBook, SignatureFacts } from './signature-book.ts'
import { signatureNonceSha256 } from './signature-nonce.ts'
import { UndecidedCounts } from './undecided.ts'
import type { SignRecord } from './vault-record.ts'
import type { Watch } from './watch.ts'

/**
 * Joins the signatures of the ledger to those of the vault's log, in memory that depends on neither's length
 * but for 44 bytes a signature:
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

  constructor(ledger: LedgerFacts, watch: Watch, expectations: Expectations) {
    this.#ledger = ledger
    this.#watch = watch
    this.#expectations = expectations
  }

  take(record: SignRecord): void {
    const { answered } = this.#ledger
    const known = record.correlationId === '' ? undefined : answered.find(record.correlationId)
    if (known === undefined) this.#takeStranger(record)
    else if (!answered.isRecorded(known)) this.#join(known, record)
    else if (answered.isRecordedAs(known, fingerprintOf(record))) this.#duplicates += 1
    else this.#repeatedIds.add(record.correlationId)
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
      leftOut: this.#misfits.left + this.#strangers.left + this.#refused.left,
    }
  }

  /** What the ledger must be asked about before `findings`. */
  wanted(missing: Missing): WantedEvidence {
    const nonces = this.#strangers.items.flatMap(({ nonce }) =>
      nonce === undefined ? [] : [signatureNonceSha256(nonce)],
    )
    return {
      answered: new Set([
        ...this.#misfits.items.map(({ ordinal }) => ordinal),
        ...missing.ordinals,
      ]),
      nonces: new Set(nonces),
    }
  }

  /** Signatures of the ledger that the log does not have. */
  missing(coverage: ReadonlyMap<string, Coverage>, options: MatchOptions): Missing {
    return missingFrom(this.#ledger, coverage, options)
  }

  findings(missing: Missing, evidence: EntryEvidence, options: MatchOptions): Matches {
    const undecided = new UndecidedCounts()
    const decidedUntilMs = options.nowMs - options.graceMs
    const old = this.#strangers.items.filter(({ timeMs }) => timeMs <= decidedUntilMs)
    for (const { timeMs } of this.#strangers.items) {
      if (timeMs > decidedUntilMs) undecided.add('record-too-young', timeMs)
    }
    return {
      findings: [
        ...this.#explainByNonce(old.toSorted(bySuccessThenTime), evidence),
        ...this.#misfits.items
          .toSorted((one, other) => bySuccessThenTime(one.record, other.record))
          .map((misfit) => findingOf(misfit, evidence)),
        ...this.#refusedElsewhere(),
        ...missing.ordinals.flatMap((ordinal) => unrecordedFrom(evidence.answered.get(ordinal))),
        ...missing.claimedAgain.flatMap((facts) => unrecordedFrom(facts)),
        ...missing.silent,
      ],
      undecided: [...undecided.list(), ...missing.undecided.list()],
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
    const misfits = [
      ...differencesFrom(this.#ledger, ordinal, record),
      ...this.#strangenessOf(record),
    ]
    const [misfit, ...more] = misfits
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
    return this.#ourPrincipals.size === 0 || (oid !== undefined && this.#ourPrincipals.has(oid))
  }

  #refusedElsewhere(): readonly Finding[] {
    const knowsUs =
      this.#expectations.isOurPrincipal('') !== undefined || this.#ourPrincipals.size > 0
    if (!knowsUs) return []
    return this.#refused.items
      .filter(
        (record) =>
          !this.#mayBeOurs(record) && !this.#expectations.isAgreed(record.oid, record.key),
      )
      .toSorted(bySuccessThenTime)
      .map((record) => ({ kind: 'sign.refused-elsewhere', record }) as const)
  }

  /**
   * A signature whose reply was lost has no id in the ledger, only the hash of its nonce. Whoever reads
   * the vault's log learns the nonce and could sign with it again: that is why such a match is assumed,
   * serves once, and holds for the principal and the time of the signature alone.
   */
  #explainByNonce(
    records: readonly SignRecord[],
    evidence: EntryEvidence,
  ): readonly (SignAssumed | SignUnexplained)[] {
    const assumed = new Set<SignatureFacts>()
    return records.map((record) => {
      const nonce = record.nonce === undefined ? undefined : signatureNonceSha256(record.nonce)
      if (nonce === undefined) return { kind: 'sign.unexplained', record }
      const lost = this.#ledger.lost.get(nonce)
      if (
        lost?.begun !== undefined &&
        !assumed.has(lost) &&
        this.#isOfThatAct(lost.begun, record)
      ) {
        assumed.add(lost)
        const { signature, begun } = lost
        return { kind: 'sign.assumed', record, signature, attempt: begun.attempt }
      }
      const nonceOf = (lost ?? evidence.byNonce.get(nonce))?.signature
      return { kind: 'sign.unexplained', record, ...(nonceOf === undefined ? {} : { nonceOf }) }
    })
  }

  #isOfThatAct(begun: BegunFacts, record: SignRecord): boolean {
    return (
      this.#mayBeOurs(record) &&
      isSameKey(begun.keyId, record.key) &&
      isSameAlgorithm(begun.algorithm, record) &&
      record.timeMs >= begun.atMs - clockDifferenceMs &&
      record.timeMs <= begun.atMs + signDeadlineMs + clockDifferenceMs
    )
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

/** More than the signer waits for the vault. */
const signDeadlineMs = 60_000
/** How far the vault's clock and ours may be apart. */
const clockDifferenceMs = 60_000

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

const isSuccess = ({ httpStatusCode }: SignRecord): boolean => httpStatusCode === 200

/** Azure promises neither order nor once-only; this tells records apart, whatever form they came in. */
export function identityOf(record: SignRecord): string {
  const { correlationId, time, clientInfo = '' } = record
  return `${correlationId === '' ? `${time} ${clientInfo}` : correlationId} ${distinctionOf(record)}`
}

/** What tells records under one id apart. */
const distinctionOf = ({ timeMs, httpStatusCode, oid = '', key }: SignRecord): string =>
  `${timeMs} ${httpStatusCode} ${oid} ${keyVersionText(key)}`

/** FNV-1a of it: whoever wants two records to be taken for one would have to choose what Azure writes. */
function fingerprintOf(record: SignRecord): number {
  const facts = distinctionOf(record)
  let hash = 0x811c9dc5
  for (let index = 0; index < facts.length; index += 1) {
    hash = Math.imul(hash ^ facts.charCodeAt(index), 0x01000193)
  }
  return hash | 0
}

function bySuccessThenTime(one: SignRecord, other: SignRecord): number {
  return (
    Number(isSuccess(other)) - Number(isSuccess(one)) ||
    one.timeMs - other.timeMs ||
    compareText(one.time, other.time) ||
    compareText(identityOf(one), identityOf(other))
  )
}

const compareText = (one: string, other: string): number => (one < other ? -1 : Number(one > other))

function differencesFrom(
  { answered }: LedgerFacts,
  ordinal: number,
  record: SignRecord,
): readonly MisfitKind[] {
  const differences: Difference[] = []
  const vault = keyVersionText(record.key)
  const ending = answered.ending(ordinal)
  if (ending === 'made' && !isSuccess(record)) {
    const status = `status ${record.httpStatusCode}`
    differences.push({ what: 'outcome', ledger: 'signed', vault: status })
  }
  if (ending === 'refused' && isSuccess(record)) {
    differences.push({ what: 'outcome', ledger: 'not signed', vault: 'status 200' })
  }
  const keyId = answered.keyId(ordinal)
  const algorithm = answered.algorithm(ordinal)
  if (!answered.wasBegun(ordinal)) {
    differences.push({ what: 'key', ledger: 'never begun', vault })
  } else {
    if (!isSameKey(keyId, record.key)) differences.push({ what: 'key', ledger: keyId, vault })
    if (!isSameAlgorithm(algorithm, record)) {
      differences.push({ what: 'algorithm', ledger: algorithm, vault: record.algorithm ?? '' })
    }
    differences.push(...timeDifference(answered, ordinal, record))
  }
  return differences.length === 0 ? [] : [{ kind: 'differs', differences }]
}

/** Whoever can write the ledger could claim a signature of somebody else's afterwards, or before it is made. */
function timeDifference(
  answered: SignatureBook,
  ordinal: number,
  { timeMs, time }: SignRecord,
): readonly Difference[] {
  const fromMs = answered.begunAtMs(ordinal)
  const toMs = answered.settledAtMs(ordinal)
  if (timeMs >= fromMs - clockDifferenceMs && timeMs <= toMs + clockDifferenceMs) return []
  const ledger = `${isoTimeFrom(fromMs)} to ${isoTimeFrom(toMs)}`
  return [{ what: 'time', ledger, vault: time }]
}

/** A record that does not say its version, or lost the port of its vault, does not disagree. */
function isSameKey(keyId: string, recorded: KeyVersion): boolean {
  if (recorded.version !== undefined && keyId === keyVersionText(recorded)) return true
  const key = parseKeyUrl(keyId)
  if (key === undefined) return false
  const sameName =
    keyNameText(key) === keyNameText(recorded) ||
    keyNameText(withoutPort(key)) === keyNameText(recorded)
  return sameName && (recorded.version === undefined || recorded.version === key.version)
}

const isSameAlgorithm = (begun: string, { algorithm }: SignRecord): boolean =>
  algorithm === undefined || algorithm === begun

/** Signatures that the ledger has and the log has not, as far as it can be said already. */
interface Missing {
  /** Where the log, late as it may be, would have them. */
  readonly ordinals: readonly number[]
  readonly claimedAgain: readonly SignatureFacts[]
  readonly silent: readonly LogsSilent[]
  readonly undecided: UndecidedCounts
  /** More than are kept. */
  readonly left: number
}

const missingMax = 100_000

function missingFrom(
  ledger: LedgerFacts,
  coverage: ReadonlyMap<string, Coverage>,
  { nowMs, graceMs }: MatchOptions,
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
    const covered = coverageOf(keyId, coverage)
    // The vault may have signed at any time between the two entries, and tells it by a clock of its own.
    const reach =
      begunAtMs === undefined
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
    if (isHead && silence.take(keyId, madeAtMs, coverageOf(keyId, coverage))) continue
    if (!judge(keyId, begunAtMs, madeAtMs)) continue
    if (ordinals.length < missingMax) ordinals.push(ordinal)
    else left += 1
  }
  const claimedAgain = ledger.claimedAgain.filter(
    ({ begun, outcome }) =>
      outcome?.kind === 'signature.made' && judge(begun?.keyId ?? '', begun?.atMs, outcome.atMs),
  )
  return { ordinals, claimedAgain, silent: silence.findings(), undecided, left }
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
