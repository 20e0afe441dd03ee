import { Column, IdIndex } from './id-index.ts'
import { Names } from './names.ts'

/** What the ledger says of one signature, whole: only of those that are evidence for something. */
export interface SignatureFacts {
  readonly signature: string
  /** Absent only where somebody wrote entries that the service does not write. */
  readonly begun?: BegunFacts
  /** Absent when the service died, or still waits for the vault. */
  readonly outcome?: OutcomeFacts
}

export interface BegunFacts {
  readonly atMs: number
  readonly attempt: string
  readonly isHead: boolean
  readonly keyId: string
  readonly algorithm: string
  readonly nonceSha256: string
  /** base64url of what the vault was sent; empty where the entry does not say. */
  readonly digest: string
  /** Of the assertion; absent of a head. */
  readonly expiresAtSeconds?: number
}

export interface OutcomeFacts {
  readonly kind: 'signature.made' | 'signature.failed'
  readonly atMs: number
  /** Of a failure: whether the vault may have signed. */
  readonly applied?: 'no' | 'unknown'
  /** Absent when no answer came. */
  readonly vaultRequestId?: string
  /** Of one that was made; empty where the entry does not say. */
  readonly signatureSha256?: string
}

/** How a signature ended that has an id of the vault. */
export type Ending = 'made' | 'refused' | 'failed'

const endings: readonly Ending[] = ['made', 'refused', 'failed']
const endingMask = 0b11
const headFlag = 0b100
const recordedFlag = 0b1000
const explainedFlag = 0b1_0000
const begunFlag = 0b10_0000
const provedFlag = 0b100_0000

/** In which lives of assertions are told, rounded up. */
const lifeStepMs = 16_000
/** 68 minutes: whoever writes down more has written what the service does not. */
const lifeStepsMax = 255

/** The beginning of 2020, UTC: from there, 40 bits of milliseconds reach beyond 2050. */
const epochMs = 1_577_836_800_000
const sinceEpochMax = 2 ** 40 - 1

/**
 * The signatures that the vault has answered, by the id of its answer, in some 35 bytes each: ten million of
 * them are in memory at once. What else the ledger says of one is read again when it is evidence.
 */
export class SignatureBook {
  readonly #ids = new IdIndex()
  /** In milliseconds since the epoch, those of a stretch of the ledger from a time that they are near to. */
  readonly #begun = new MostlyNear()
  /** From begun to settled in milliseconds. */
  readonly #span = new MostlyShort()
  /** Of the record that the vault's log has of it. */
  readonly #fingerprint = new Column(Int32Array)
  readonly #key = new Column(Uint16Array)
  readonly #algorithm = new Column(Uint8Array)
  readonly #flags = new Column(Uint8Array)
  /** From begun to the end of the assertion. */
  readonly #life = new Column(Uint8Array)
  readonly #keys = new Names(0xffff)
  readonly #algorithms = new Names(0xff)

  get size(): number {
    return this.#ids.size
  }

  /** Its ordinal; undefined when the id is another signature's already. */
  add(
    vaultRequestId: string,
    begun: BegunFacts | undefined,
    outcome: OutcomeFacts,
  ): number | undefined {
    const ordinal = this.#ids.add(vaultRequestId)
    if (ordinal === undefined) return undefined
    const atMs = (begun ?? outcome).atMs
    this.#begun.set(ordinal, Math.min(Math.max(Math.trunc(atMs) - epochMs, 0), sinceEpochMax))
    this.#span.set(ordinal, Math.min(Math.max(outcome.atMs - atMs, -(2 ** 31)), 2 ** 31 - 1))
    this.#key.set(ordinal, this.#keys.numberOf(begun?.keyId ?? ''))
    this.#algorithm.set(ordinal, this.#algorithms.numberOf(begun?.algorithm ?? ''))
    const flags = (begun === undefined ? 0 : begunFlag) | (begun?.isHead === true ? headFlag : 0)
    this.#flags.set(ordinal, flags | endings.indexOf(endingOf(outcome)))
    this.#life.set(ordinal, lifeStepsOf(begun))
    return ordinal
  }

  find(vaultRequestId: string): number | undefined {
    return this.#ids.find(vaultRequestId)
  }

  begunAtMs(ordinal: number): number {
    return epochMs + this.#begun.get(ordinal)
  }

  settledAtMs(ordinal: number): number {
    return this.begunAtMs(ordinal) + this.#span.get(ordinal)
  }

  /** Empty when the ledger does not say how it began. */
  keyId(ordinal: number): string {
    return this.#keys.name(this.#key.get(ordinal))
  }

  algorithm(ordinal: number): string {
    return this.#algorithms.name(this.#algorithm.get(ordinal))
  }

  ending(ordinal: number): Ending {
    return endings[this.#flags.get(ordinal) & endingMask] ?? 'failed'
  }

  wasBegun(ordinal: number): boolean {
    return (this.#flags.get(ordinal) & begunFlag) !== 0
  }

  isHead(ordinal: number): boolean {
    return (this.#flags.get(ordinal) & headFlag) !== 0
  }

  /** The vault's log has it. */
  isRecorded(ordinal: number): boolean {
    return (this.#flags.get(ordinal) & recordedFlag) !== 0
  }

  /** @param fingerprint 32 bits by which repetitions of the record are told from another one. */
  record(ordinal: number, fingerprint: number): void {
    this.#flags.set(ordinal, this.#flags.get(ordinal) | recordedFlag)
    this.#fingerprint.set(ordinal, fingerprint)
  }

  isRecordedAs(ordinal: number, fingerprint: number): boolean {
    return this.#fingerprint.get(ordinal) === fingerprint
  }

  isExplained(ordinal: number): boolean {
    return (this.#flags.get(ordinal) & explainedFlag) !== 0
  }

  explain(ordinal: number): void {
    this.#flags.set(ordinal, this.#flags.get(ordinal) | explainedFlag)
  }

  /** When the assertion is over, or some seconds later; of a head, when it was begun. */
  endsAtMs(ordinal: number): number {
    return this.begunAtMs(ordinal) + this.#life.get(ordinal) * lifeStepMs
  }

  isProved(ordinal: number): boolean {
    return (this.#flags.get(ordinal) & provedFlag) !== 0
  }

  prove(ordinal: number): void {
    this.#flags.set(ordinal, this.#flags.get(ordinal) | provedFlag)
  }

  /** As before its record came. */
  unexplain(ordinal: number): void {
    this.#flags.set(ordinal, this.#flags.get(ordinal) & ~explainedFlag)
  }
}

/** Whole numbers of 0 or more, two bytes each, and six where one is not short. */
class MostlyShort {
  readonly #short = new Column(Uint16Array)
  readonly #others = new Column(Int32Array)

  get(ordinal: number): number {
    const short = this.#short.get(ordinal)
    return short === otherwise16 ? this.#others.get(ordinal) : short
  }

  /** Once for each ordinal. */
  set(ordinal: number, value: number): void {
    const isShort = value >= 0 && value < otherwise16
    this.#short.set(ordinal, isShort ? value : otherwise16)
    if (!isShort) this.#others.set(ordinal, value)
  }
}

const otherwise16 = 0xffff

/** Times in milliseconds, four bytes each, and twelve where one is weeks away from those beside it. */
class MostlyNear {
  /** Of each stretch of ordinals, so that what is near has a difference of more than 0. */
  readonly #fromMs: number[] = []
  readonly #differences = new Column(Uint32Array)
  readonly #others = new Column(Float64Array)

  get(ordinal: number): number {
    const difference = this.#differences.get(ordinal)
    if (difference === 0) return this.#others.get(ordinal)
    return (this.#fromMs[ordinal >>> stretchBits] ?? 0) + difference
  }

  /** Once for each ordinal, in their order. */
  set(ordinal: number, timeMs: number): void {
    const stretch = ordinal >>> stretchBits
    if (stretch === this.#fromMs.length) this.#fromMs.push(timeMs - 2 ** 31)
    const difference = timeMs - (this.#fromMs[stretch] ?? 0)
    const isNear = difference > 0 && difference < 2 ** 32
    if (isNear) this.#differences.set(ordinal, difference)
    else this.#others.set(ordinal, timeMs)
  }
}

const stretchBits = 16

function lifeStepsOf(begun: BegunFacts | undefined): number {
  if (begun?.expiresAtSeconds === undefined) return 0
  const steps = Math.ceil((begun.expiresAtSeconds * 1000 - begun.atMs) / lifeStepMs)
  return Math.min(Math.max(steps, 0), lifeStepsMax)
}

function endingOf({ kind, applied }: OutcomeFacts): Ending {
  if (kind === 'signature.made') return 'made'
  return applied === 'no' ? 'refused' : 'failed'
}
