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
  readonly purpose: string
  readonly application: string
  readonly tenant: string
  readonly keyId: string
  readonly algorithm: string
  readonly nonceSha256: string
}

export interface OutcomeFacts {
  readonly kind: 'signature.made' | 'signature.failed'
  readonly atMs: number
  /** Of a failure: whether the vault may have signed. */
  readonly applied?: 'no' | 'unknown'
  /** Absent when no answer came. */
  readonly vaultRequestId?: string
}

/** How a signature ended that has an id of the vault. */
export type Ending = 'made' | 'refused' | 'failed'

const endings: readonly Ending[] = ['made', 'refused', 'failed']
const endingMask = 0b11
const headFlag = 0b100
const recordedFlag = 0b1000
const explainedFlag = 0b1_0000
const begunFlag = 0b10_0000

/** The beginning of 2020, UTC: from there, 40 bits of milliseconds reach beyond 2050. */
const epochMs = 1_577_836_800_000
const low32 = 2 ** 32

/**
 * The signatures that the vault has answered, by the id of its answer, in 44 bytes each: ten million of
 * them are in memory at once. What else the ledger says of one is read again when it is evidence.
 */
export class SignatureBook {
  readonly #ids = new IdIndex()
  readonly #begunLow = new Column(Uint32Array)
  readonly #begunHigh = new Column(Uint8Array)
  /** From begun to settled in milliseconds. */
  readonly #span = new Column(Int32Array)
  /** Of the record that the vault's log has of it. */
  readonly #fingerprint = new Column(Int32Array)
  readonly #key = new Column(Uint16Array)
  readonly #algorithm = new Column(Uint8Array)
  readonly #flags = new Column(Uint8Array)
  readonly #keys = new Names(0xffff)
  readonly #algorithms = new Names(0xff)

  get size(): number {
    return this.#ids.size
  }

  /** False when the id is another signature's already. */
  add(vaultRequestId: string, begun: BegunFacts | undefined, outcome: OutcomeFacts): boolean {
    const ordinal = this.#ids.add(vaultRequestId)
    if (ordinal === undefined) return false
    const atMs = (begun ?? outcome).atMs
    const sinceEpoch = Math.min(Math.max(atMs - epochMs, 0), 2 ** 40 - 1)
    this.#begunLow.set(ordinal, sinceEpoch % low32)
    this.#begunHigh.set(ordinal, Math.floor(sinceEpoch / low32))
    this.#span.set(ordinal, Math.min(Math.max(outcome.atMs - atMs, -(2 ** 31)), 2 ** 31 - 1))
    this.#key.set(ordinal, this.#keys.numberOf(begun?.keyId ?? ''))
    this.#algorithm.set(ordinal, this.#algorithms.numberOf(begun?.algorithm ?? ''))
    const flags = (begun === undefined ? 0 : begunFlag) | (begun?.purpose === 'head' ? headFlag : 0)
    this.#flags.set(ordinal, flags | endings.indexOf(endingOf(outcome)))
    return true
  }

  find(vaultRequestId: string): number | undefined {
    return this.#ids.find(vaultRequestId)
  }

  begunAtMs(ordinal: number): number {
    return epochMs + this.#begunHigh.get(ordinal) * low32 + this.#begunLow.get(ordinal)
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

  /** As before its record came. */
  unexplain(ordinal: number): void {
    this.#flags.set(ordinal, this.#flags.get(ordinal) & ~explainedFlag)
  }
}

function endingOf({ kind, applied }: OutcomeFacts): Ending {
  if (kind === 'signature.made') return 'made'
  return applied === 'no' ? 'refused' : 'failed'
}
