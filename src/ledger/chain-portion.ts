import type { Link, Row } from './chain.ts'
import { walkChain } from './verify.ts'
import type { Step } from './verify.ts'

/** Rows of one portion at most. */
const rowsMax = 1000
/** Of each row, and of what the first one continues: its sequence, where its canonical bytes end, and where its hash ends. */
const numbersEach = 3
const numbersBytes = (rowsMax + 1) * numbersEach * Float64Array.BYTES_PER_ELEMENT
/** Most rows have some hundred bytes. */
const bytesMax = 512 * 1024
/** With less room than that a portion is full: hardly a row is longer. */
const roomMin = 32 * 1024

/** What one portion is written into and read from, by whatever thread. */
export const portionMemory = (): SharedArrayBuffer => new SharedArrayBuffer(numbersBytes + bytesMax)

/** Rows that follow one another, copied behind one another into memory that threads share. */
export class PortionWriter {
  readonly memory: SharedArrayBuffer
  readonly #numbers: Float64Array
  readonly #bytes: Uint8Array
  #items = 0
  #at = 0

  constructor(memory: SharedArrayBuffer) {
    this.memory = memory
    this.#numbers = new Float64Array(memory, 0, (rowsMax + 1) * numbersEach)
    this.#bytes = new Uint8Array(memory, numbersBytes)
  }

  get rows(): number {
    return this.#items - 1
  }

  get isFull(): boolean {
    return this.rows === rowsMax || this.#at + roomMin > this.#bytes.length
  }

  /** Once, before all rows: what the first of them is to continue. False when it has no room. */
  begin({ sequence, hash }: Link): boolean {
    return this.#put(sequence, noBytes, hash)
  }

  /** False when it has no room. */
  add({ sequence, canonical, hash }: Row): boolean {
    return this.#put(sequence, canonical, hash)
  }

  #put(sequence: number, canonical: Uint8Array, hash: Uint8Array): boolean {
    const canonicalEnd = this.#at + canonical.length
    const end = canonicalEnd + hash.length
    if (end > this.#bytes.length) return false
    this.#bytes.set(canonical, this.#at)
    this.#bytes.set(hash, canonicalEnd)
    const number = this.#items * numbersEach
    this.#numbers[number] = sequence
    this.#numbers[number + 1] = canonicalEnd
    this.#numbers[number + 2] = end
    this.#items += 1
    this.#at = end
    return true
  }
}

const noBytes = new Uint8Array(0)

/** Every row of a portion as it was written, with what is wrong with it behind the one before it. */
export function walkPortion(memory: SharedArrayBuffer, rows: number): Iterable<Step> {
  const items = itemsIn(memory, rows + 1)
  const behind = items.next()
  return walkChain(items, behind.done === true ? undefined : behind.value)
}

function* itemsIn(memory: SharedArrayBuffer, count: number): Generator<Row, undefined, undefined> {
  const numbers = new Float64Array(memory, 0, count * numbersEach)
  const bytes = new Uint8Array(memory, numbersBytes)
  let at = 0
  for (let number = 0; number < numbers.length; number += numbersEach) {
    const sequence = numbers[number] ?? 0
    const canonicalEnd = numbers[number + 1] ?? 0
    const end = numbers[number + 2] ?? 0
    const canonical = bytes.subarray(at, canonicalEnd)
    yield { sequence, canonical, hash: bytes.subarray(canonicalEnd, end) }
    at = end
  }
}
