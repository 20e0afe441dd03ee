import type {
  Difference,
  Finding,
  SignAssumed,
  SignDiffers,
  SignUnexplained,
  SignUnrecorded,
  Undecided,
  UndecidedReason,
} from './finding.ts'
import { keyNameText, keyVersionText, parseKeyUrl, withoutPort } from './key-name.ts'
import type { KeyVersion } from './key-name.ts'
import type { BegunFacts, LedgerFacts, MadeFacts, SignatureFacts } from './ledger-facts.ts'
import { signatureNonceSha256 } from './signature-nonce.ts'
import type { Coverage, VaultLogFacts } from './vault-log-facts.ts'
import type { SignRecord } from './vault-record.ts'

export interface MatchOptions {
  readonly nowMs: number
  /** How late a record may arrive, and how long the ledger may take to learn of an answer. */
  readonly graceMs: number
}

export interface Matches {
  readonly findings: readonly Finding[]
  readonly undecided: readonly Undecided[]
  /** Signatures in the log that the ledger knows by the vault's id and describes as the log does. */
  readonly explained: number
}

/** More than the signer waits for the vault. */
const signDeadlineMs = 60_000
/** How far the vault's clock and ours may be apart. */
const clockDifferenceMs = 60_000

/** Joins ledger and log. Pure, and blind to the order in which records were delivered. */
export function match(ledger: LedgerFacts, log: VaultLogFacts, options: MatchOptions): Matches {
  const { pairs, alone } = join(ledger, log)
  const recorded = new Set(pairs.map(({ facts }) => facts))
  const decidedUntilMs = options.nowMs - options.graceMs
  const [old, young] = partition(alone, ({ timeMs }) => timeMs <= decidedUntilMs)
  const differing = pairs.flatMap(differsFrom)
  const missing = judgeMissing(madeWithout(recorded, ledger), log, options)
  return {
    findings: [
      ...(ledger.fault === undefined
        ? []
        : [{ kind: 'ledger.broken', fault: ledger.fault } as const]),
      ...explainByNonce(old, recorded, ledger),
      ...differing,
      ...missing.unrecorded,
    ],
    undecided: [
      ...undecidedFrom(
        'record-too-young',
        young.map(({ timeMs }) => timeMs),
      ),
      ...undecidedFrom('signature-too-young', missing.tooYoungMs),
      ...undecidedFrom('log-does-not-reach', missing.outsideLogMs),
    ],
    explained: successes(pairs) - successes(differing),
  }
}

interface Pair {
  readonly facts: SignatureFacts
  readonly record: SignRecord
}

interface Joined {
  readonly pairs: readonly Pair[]
  /** Signatures that nothing in the ledger claims. */
  readonly alone: readonly SignRecord[]
}

/** One record for each id of the ledger: successes first, then by time, so that arrival decides nothing. */
function join(ledger: LedgerFacts, log: VaultLogFacts): Joined {
  const unclaimed = new Map<string, SignatureFacts>()
  for (const facts of ledger.signatures.values()) {
    const id = facts.outcome?.vaultRequestId?.toLowerCase()
    if (id !== undefined && !unclaimed.has(id)) unclaimed.set(id, facts)
  }
  const pairs: Pair[] = []
  const alone: SignRecord[] = []
  for (const record of log.signs.toSorted(bySuccessThenTime)) {
    const facts = unclaimed.get(record.correlationId)
    unclaimed.delete(record.correlationId)
    if (facts !== undefined) pairs.push({ facts, record })
    else if (isSuccess(record)) alone.push(record)
  }
  return { pairs, alone }
}

const isSuccess = ({ httpStatusCode }: SignRecord): boolean => httpStatusCode === 200

const successes = (items: readonly { readonly record: SignRecord }[]): number =>
  items.filter(({ record }) => isSuccess(record)).length

function bySuccessThenTime(one: SignRecord, other: SignRecord): number {
  return (
    Number(isSuccess(other)) - Number(isSuccess(one)) ||
    one.timeMs - other.timeMs ||
    compareText(one.time, other.time) ||
    compareText(one.correlationId, other.correlationId)
  )
}

const compareText = (one: string, other: string): number => (one < other ? -1 : Number(one > other))

function differsFrom({ facts, record }: Pair): readonly SignDiffers[] {
  const differences = [
    ...outcomeDifference(facts, record),
    ...begunDifferences(facts.begun, record),
  ]
  if (differences.length === 0) return []
  return [{ kind: 'sign.differs', record, signature: facts.signature, differences }]
}

function outcomeDifference({ outcome }: SignatureFacts, record: SignRecord): readonly Difference[] {
  const vault = `status ${record.httpStatusCode}`
  if (outcome?.kind === 'signature.made' && !isSuccess(record)) {
    return [{ what: 'outcome', ledger: 'signed', vault }]
  }
  if (outcome?.kind === 'signature.failed' && outcome.applied === 'no' && isSuccess(record)) {
    return [{ what: 'outcome', ledger: 'not signed', vault }]
  }
  return []
}

function begunDifferences(
  begun: BegunFacts | undefined,
  record: SignRecord,
): readonly Difference[] {
  const vaultKey = keyVersionText(record.key)
  if (begun === undefined) return [{ what: 'key', ledger: 'never begun', vault: vaultKey }]
  const differences: Difference[] = []
  if (!isSameKey(begun.keyId, record.key)) {
    differences.push({ what: 'key', ledger: begun.keyId, vault: vaultKey })
  }
  if (!isSameAlgorithm(begun, record)) {
    const vault = record.algorithm ?? ''
    differences.push({ what: 'algorithm', ledger: begun.algorithm, vault })
  }
  return differences
}

/** A record that does not say its version, or lost the port of its vault, does not disagree. */
function isSameKey(keyId: string, recorded: KeyVersion): boolean {
  const key = parseKeyUrl(keyId)
  if (key === undefined) return false
  const sameName =
    keyNameText(key) === keyNameText(recorded) ||
    keyNameText(withoutPort(key)) === keyNameText(recorded)
  return sameName && (recorded.version === undefined || recorded.version === key.version)
}

const isSameAlgorithm = (begun: BegunFacts, { algorithm }: SignRecord): boolean =>
  algorithm === undefined || algorithm === begun.algorithm

/**
 * A signature whose reply was lost has no id in the ledger, only the hash of its nonce. Whoever reads
 * the vault's log learns the nonce and could sign with it again: that is why such a match is assumed,
 * serves once, and holds for the time of the signature alone.
 */
function explainByNonce(
  records: readonly SignRecord[],
  recorded: ReadonlySet<SignatureFacts>,
  ledger: LedgerFacts,
): readonly (SignAssumed | SignUnexplained)[] {
  const byNonce = new Map<string, SignatureFacts>()
  for (const facts of ledger.signatures.values()) {
    if (facts.begun !== undefined) byNonce.set(facts.begun.nonceSha256, facts)
  }
  const assumed = new Set<SignatureFacts>()
  return records.map((record) => {
    const facts =
      record.nonce === undefined ? undefined : byNonce.get(signatureNonceSha256(record.nonce))
    if (facts?.begun === undefined) return { kind: 'sign.unexplained', record }
    const { signature, begun } = facts
    const isFree = !recorded.has(facts) && !assumed.has(facts)
    if (!isFree || !lostItsReply(facts) || !isOfThatAct(begun, record)) {
      return { kind: 'sign.unexplained', record, nonceOf: signature }
    }
    assumed.add(facts)
    return { kind: 'sign.assumed', record, signature, attempt: begun.attempt }
  })
}

function lostItsReply({ outcome }: SignatureFacts): boolean {
  if (outcome === undefined) return true
  return (
    outcome.kind === 'signature.failed' &&
    outcome.applied === 'unknown' &&
    outcome.vaultRequestId === undefined
  )
}

function isOfThatAct(begun: BegunFacts, record: SignRecord): boolean {
  return (
    isSameKey(begun.keyId, record.key) &&
    isSameAlgorithm(begun, record) &&
    record.timeMs >= begun.atMs - clockDifferenceMs &&
    record.timeMs <= begun.atMs + signDeadlineMs + clockDifferenceMs
  )
}

interface MadeSignature {
  readonly facts: SignatureFacts
  readonly made: MadeFacts
}

function madeWithout(
  recorded: ReadonlySet<SignatureFacts>,
  ledger: LedgerFacts,
): readonly MadeSignature[] {
  return [...ledger.signatures.values()].flatMap((facts) =>
    facts.outcome?.kind === 'signature.made' && !recorded.has(facts)
      ? [{ facts, made: facts.outcome }]
      : [],
  )
}

interface Missing {
  readonly unrecorded: readonly SignUnrecorded[]
  readonly tooYoungMs: readonly number[]
  readonly outsideLogMs: readonly number[]
}

/** A record is missing only where the log, late as it may be, would have it. */
function judgeMissing(
  signatures: readonly MadeSignature[],
  log: VaultLogFacts,
  { nowMs, graceMs }: MatchOptions,
): Missing {
  const [old, young] = partition(signatures, ({ made }) => made.atMs <= nowMs - graceMs)
  const [covered, outside] = partition(old, (signature) => isCovered(signature, log, graceMs))
  return {
    unrecorded: covered.map(unrecordedFrom),
    tooYoungMs: young.map(({ made }) => made.atMs),
    outsideLogMs: outside.map(({ made }) => made.atMs),
  }
}

/**
 * The vault may have signed at any time between the two entries, and tells it by a clock of its own:
 * the log stands for the signature only if all of that is inside.
 */
function isCovered({ facts, made }: MadeSignature, log: VaultLogFacts, graceMs: number): boolean {
  const coverage = coverageOf(facts.begun, log)
  if (coverage === undefined || facts.begun === undefined) return false
  return (
    facts.begun.atMs - clockDifferenceMs >= coverage.fromMs && made.atMs <= coverage.toMs - graceMs
  )
}

function coverageOf(begun: BegunFacts | undefined, log: VaultLogFacts): Coverage | undefined {
  const key = parseKeyUrl(begun?.keyId ?? '')
  return key === undefined ? undefined : log.coverage.get(key.vault)
}

function unrecordedFrom({ facts, made }: MadeSignature): SignUnrecorded {
  const { signature, begun } = facts
  return {
    kind: 'sign.unrecorded',
    signature,
    vaultRequestId: made.vaultRequestId,
    madeAtMs: made.atMs,
    ...(begun === undefined ? {} : { attempt: begun.attempt, keyId: begun.keyId }),
  }
}

function undecidedFrom(reason: UndecidedReason, timesMs: readonly number[]): readonly Undecided[] {
  if (timesMs.length === 0) return []
  const [fromMs, toMs] = timesMs.reduce(
    ([first, last], timeMs) => [Math.min(first, timeMs), Math.max(last, timeMs)],
    [Infinity, -Infinity],
  )
  return [{ reason, count: timesMs.length, fromMs, toMs }]
}

function partition<Item>(
  items: readonly Item[],
  belongs: (item: Item) => boolean,
): readonly [yes: readonly Item[], no: readonly Item[]] {
  const { true: yes = [], false: no = [] } = Object.groupBy(items, (item) =>
    belongs(item) ? 'true' : 'false',
  )
  return [yes, no]
}
