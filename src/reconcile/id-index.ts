import { hash } from 'node:crypto'

/** Items in one block of a column: adding one never moves the others. */
const blockBits = 16
const blockSize = 1 << blockBits
const blockMask = blockSize - 1

type Numbers = Uint8Array | Uint16Array | Uint32Array | Int32Array | Float64Array

/** Numbers by ordinal; 0 until they are set. A block that is 0 throughout takes no memory. */
export class Column {
  readonly #blocks: (Numbers | undefined)[] = []
  readonly #create: () => Numbers

  constructor(numbers: new (length: number) => Numbers) {
    this.#create = () => new numbers(blockSize)
  }

  get(ordinal: number): number {
    return this.#blocks[ordinal >>> blockBits]?.[ordinal & blockMask] ?? 0
  }

  set(ordinal: number, value: number): void {
    const block = this.#blocks[ordinal >>> blockBits] ?? this.#blockFor(ordinal, value)
    if (block !== undefined) block[ordinal & blockMask] = value
  }

  #blockFor(ordinal: number, value: number): Numbers | undefined {
    if (value === 0) return undefined
    const index = ordinal >>> blockBits
    // A list with holes costs more each time that it is read.
    while (this.#blocks.length < index) this.#blocks.push(undefined)
    const block = this.#create()
    this.#blocks[index] = block
    return block
  }
}

const slotsMin = 1 << 10

/**
 * Ids of 16 bytes by hash, each with the ordinal in which it came: about 24 bytes each, where a `Map` of
 * texts takes 150. An id that is no GUID stands there by its SHA-256, of which nobody finds two alike.
 */
export class IdIndex {
  readonly #ids = new IdColumn()
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
    this.#ids.add(this.#id)
    this.#slots[slot] = ordinal + 1
    this.#size += 1
    return ordinal
  }

  /** Where the id is, or would be. */
  #slotOf(): number {
    const mask = this.#slots.length - 1
    // By index: taking it apart as a list costs more than finding it.
    const id = this.#id
    const slots = this.#slots
    let slot = mixed(id[0] ?? 0, id[1] ?? 0, id[2] ?? 0, id[3] ?? 0) & mask
    for (;;) {
      const found = slots[slot] ?? 0
      if (found === 0 || this.#ids.isAt(found - 1, id)) return slot
      slot = (slot + 1) & mask
    }
  }

  #grow(): void {
    const slots = new Int32Array(this.#slots.length * 2)
    const mask = slots.length - 1
    for (let ordinal = 0; ordinal < this.#size; ordinal += 1) {
      let slot = this.#ids.mixedAt(ordinal) & mask
      while (slots[slot] !== 0) slot = (slot + 1) & mask
      slots[slot] = ordinal + 1
    }
    this.#slots = slots
  }
}

/** Ids of four words, each beside one another: what is looked at together is fetched from memory together. */
class IdColumn {
  readonly #blocks: Uint32Array[] = []
  #size = 0

  add(id: Uint32Array): void {
    if ((this.#size & blockMask) === 0) this.#blocks.push(new Uint32Array(blockSize * 4))
    this.#blocks[this.#size >>> blockBits]?.set(id, (this.#size & blockMask) * 4)
    this.#size += 1
  }

  isAt(ordinal: number, id: Uint32Array): boolean {
    const block = this.#blocks[ordinal >>> blockBits]
    const at = (ordinal & blockMask) * 4
    return (
      block?.[at + 3] === id[3] &&
      block?.[at + 2] === id[2] &&
      block?.[at + 1] === id[1] &&
      block?.[at] === id[0]
    )
  }

  mixedAt(ordinal: number): number {
    const block = this.#blocks[ordinal >>> blockBits]
    const at = (ordinal & blockMask) * 4
    return mixed(block?.[at] ?? 0, block?.[at + 1] ?? 0, block?.[at + 2] ?? 0, block?.[at + 3] ?? 0)
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
  // As text, which Node makes in half the time.
  const bytes = hash('sha256', id, 'latin1')
  for (let word = 0; word < 4; word += 1) {
    let value = 0
    for (let byte = 0; byte < 4; byte += 1) value = (value << 8) | bytes.charCodeAt(word * 4 + byte)
    words[word] = value
  }
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
