import { hash } from 'node:crypto'

/** Items in one block of a column: adding one never moves the others. */
const blockBits = 16
const blockSize = 1 << blockBits
const blockMask = blockSize - 1

type Numbers = Uint8Array | Uint16Array | Uint32Array | Int32Array

/** Numbers by ordinal, in blocks that are allocated as they are needed; 0 until they are set. */
export class Column {
  readonly #blocks: Numbers[] = []
  readonly #create: () => Numbers

  constructor(numbers: new (length: number) => Numbers) {
    this.#create = () => new numbers(blockSize)
  }

  get(ordinal: number): number {
    return this.#blocks[ordinal >>> blockBits]?.[ordinal & blockMask] ?? 0
  }

  set(ordinal: number, value: number): void {
    const index = ordinal >>> blockBits
    while (this.#blocks.length <= index) this.#blocks.push(this.#create())
    const block = this.#blocks[index]
    if (block !== undefined) block[ordinal & blockMask] = value
  }
}

const slotsMin = 1 << 10

/**
 * Ids of 16 bytes by hash, each with the ordinal in which it came: about 24 bytes each, where a `Map` of
 * texts takes 150. An id that is no GUID stands there by its SHA-256, of which nobody finds two alike.
 */
export class IdIndex {
  readonly #words = Array.from({ length: 4 }, () => new Column(Uint32Array))
  /** Ordinals + 1; 0 is empty. A power of two, at most two thirds full. */
  #slots = new Int32Array(slotsMin)
  #size = 0
  /** The id that was looked at last. */
  readonly #id = new Uint32Array(4)

  get size(): number {
    return this.#size
  }

  /** Its ordinal; undefined when it is not there. */
  find(id: string): number | undefined {
    readId(id, this.#id)
    const found = this.#slots[this.#slotOf()] ?? 0
    return found === 0 ? undefined : found - 1
  }

  /** Its ordinal, which is the number of ids before it; undefined when it is there already. */
  add(id: string): number | undefined {
    if ((this.#size + 1) * 3 > this.#slots.length * 2) this.#grow()
    readId(id, this.#id)
    const slot = this.#slotOf()
    if (this.#slots[slot] !== 0) return undefined
    const ordinal = this.#size
    this.#words.forEach((word, index) => {
      word.set(ordinal, this.#id[index] ?? 0)
    })
    this.#slots[slot] = ordinal + 1
    this.#size += 1
    return ordinal
  }

  /** Where the id is, or would be. */
  #slotOf(): number {
    const mask = this.#slots.length - 1
    const [first = 0, second = 0, third = 0, fourth = 0] = this.#id
    let slot = mixed(first, second, third, fourth) & mask
    for (;;) {
      const found = this.#slots[slot] ?? 0
      if (found === 0 || this.#isAt(found - 1, first, second, third, fourth)) return slot
      slot = (slot + 1) & mask
    }
  }

  #isAt(ordinal: number, first: number, second: number, third: number, fourth: number): boolean {
    const [one, two, three, four] = this.#words
    return (
      four?.get(ordinal) === fourth &&
      three?.get(ordinal) === third &&
      two?.get(ordinal) === second &&
      one?.get(ordinal) === first
    )
  }

  #grow(): void {
    const slots = new Int32Array(this.#slots.length * 2)
    const mask = slots.length - 1
    const [one, two, three, four] = this.#words
    for (let ordinal = 0; ordinal < this.#size; ordinal += 1) {
      let slot =
        mixed(
          one?.get(ordinal) ?? 0,
          two?.get(ordinal) ?? 0,
          three?.get(ordinal) ?? 0,
          four?.get(ordinal) ?? 0,
        ) & mask
      while (slots[slot] !== 0) slot = (slot + 1) & mask
      slots[slot] = ordinal + 1
    }
    this.#slots = slots
  }
}

/** Ids that differ in few digits must not stand beside one another. */
function mixed(first: number, second: number, third: number, fourth: number): number {
  let value = Math.imul(first ^ Math.imul(second, 0x9e3779b1), 0x85ebca6b)
  value = Math.imul((value ^ (value >>> 15)) + third, 0xc2b2ae35)
  value = Math.imul((value ^ (value >>> 13)) + fourth, 0x27d4eb2f)
  return (value ^ (value >>> 16)) >>> 0
}

/** Where the 32 digits of a GUID stand. */
const digitPlaces = Array.from({ length: 36 }, (_, index) => index).filter(
  (index) => index !== 8 && index !== 13 && index !== 18 && index !== 23,
)

function readId(id: string, words: Uint32Array): void {
  if (id.length === 36 && readGuid(id, words)) return
  const bytes = hash('sha256', id, 'buffer')
  for (let word = 0; word < 4; word += 1) words[word] = bytes.readUInt32BE(word * 4)
}

/** False when it is none. */
function readGuid(id: string, words: Uint32Array): boolean {
  for (let word = 0; word < 4; word += 1) {
    let value = 0
    for (let digit = 0; digit < 8; digit += 1) {
      const code = id.charCodeAt(digitPlaces[word * 8 + digit] ?? 0)
      const nibble = code >= 0x30 && code <= 0x39 ? code - 0x30 : hexLetter(code)
      if (nibble === -1) return false
      value = (value << 4) | nibble
    }
    words[word] = value
  }
  return id[8] === '-' && id[13] === '-' && id[18] === '-' && id[23] === '-'
}

/** Of both cases. */
function hexLetter(code: number): number {
  const lower = code | 0x20
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1
}
