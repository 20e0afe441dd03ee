/** A value that differs from line to line: text without escapes that is not empty, or a whole number. */
export interface Variable {
  /** Names of the members around it and of its own, with `/` between; no name that has one itself is told. */
  readonly path: string
  readonly kind: 'text' | 'digits'
  readonly from: number
  readonly to: number
}

const quote = 0x22
const backslash = 0x5c
const comma = 0x2c
const openList = 0x5b
const closeList = 0x5d
const openObject = 0x7b
const closeObject = 0x7d
const zero = 0x30
const nine = 0x39

/** Whether the byte stands for itself in a JSON text (RFC 8259 §7), and is one character of it. */
const plain = Uint8Array.from({ length: 256 }, (_, byte) =>
  Number(byte >= 0x20 && byte <= 0x7e && byte !== quote && byte !== backslash),
)
/** More could not be told from its neighbours as a number. */
const digitsMax = 15
/** From here on one call of Node's takes less time than a loop. */
const longPiece = 96

/**
 * What lines of JSON have in common that differ in a few values alone. A line fits when everything between
 * those values is the same, byte for byte, as in a line that was parsed, and the values are plain: then it
 * is JSON of the same members, and says of them what stands there. Anything else has to be parsed.
 */
export class Mould {
  readonly #pieces: readonly Buffer[]
  readonly #isText: readonly boolean[]
  readonly #indexes: ReadonlyMap<string, number>
  /** Of the values of the line that fitted last: where each begins and ends. */
  readonly #places: Int32Array
  /** What was told last of each: keys and algorithms are the same in most lines. */
  readonly #texts: string[]
  #bytes: Buffer

  /** @param variables Of this line, in their order. */
  constructor(line: Buffer, variables: readonly Variable[]) {
    const ends = [0, ...variables.map(({ to }) => to)]
    this.#pieces = ends.map((end, index) =>
      // A copy: the line is a part of something longer.
      Buffer.from(line.subarray(end, variables[index]?.from ?? line.length)),
    )
    this.#isText = variables.map(({ kind }) => kind === 'text')
    this.#indexes = new Map(variables.map(({ path }, index) => [path, index]))
    this.#places = new Int32Array(variables.length * 2)
    this.#texts = variables.map(() => '')
    this.#bytes = line
  }

  /** Whether the line fits; what it says can be asked for until the next one is tried. */
  fits(bytes: Buffer, from: number, to: number): boolean {
    const pieces = this.#pieces
    const places = this.#places
    const last = pieces.length - 1
    let at = from
    for (let index = 0; index < last; index += 1) {
      const piece = pieces[index]
      if (piece === undefined || !isAt(bytes, at, to, piece)) return false
      const start = at + piece.length
      at =
        this.#isText[index] === true ? endOfText(bytes, start, to) : endOfDigits(bytes, start, to)
      if (at === start) return false
      places[index * 2] = start
      places[index * 2 + 1] = at
    }
    const piece = pieces[last]
    this.#bytes = bytes
    return piece !== undefined && at + piece.length === to && isAt(bytes, at, to, piece)
  }

  has(path: string): boolean {
    return this.#indexes.has(path)
  }

  /** What the line says there; undefined where lines do not differ. */
  text(path: string): string | undefined {
    const index = this.#indexes.get(path)
    if (index === undefined || this.#isText[index] !== true) return undefined
    const bytes = this.#bytes
    const from = this.#places[index * 2] ?? 0
    const to = this.#places[index * 2 + 1] ?? 0
    const last = this.#texts[index] ?? ''
    if (isText(bytes, from, to, last)) return last
    const text = bytes.toString('latin1', from, to)
    this.#texts[index] = text
    return text
  }

  number(path: string): number | undefined {
    const index = this.#indexes.get(path)
    if (index === undefined || this.#isText[index] !== false) return undefined
    const bytes = this.#bytes
    const to = this.#places[index * 2 + 1] ?? 0
    let value = 0
    for (let at = this.#places[index * 2] ?? 0; at < to; at += 1) {
      value = value * 10 + (bytes[at] ?? 0) - zero
    }
    return value
  }
}

function isAt(bytes: Buffer, at: number, end: number, piece: Buffer): boolean {
  const { length } = piece
  if (at + length > end) return false
  if (length >= longPiece) return bytes.compare(piece, 0, length, at, at + length) === 0
  for (let index = 0; index < length; index += 1) {
    if (bytes[at + index] !== piece[index]) return false
  }
  return true
}

/** From behind, where ids differ from one another. */
function isText(bytes: Buffer, from: number, to: number, text: string): boolean {
  if (text.length !== to - from) return false
  for (let index = text.length - 1; index >= 0; index -= 1) {
    if (bytes[from + index] !== text.charCodeAt(index)) return false
  }
  return true
}

function endOfText(bytes: Buffer, start: number, end: number): number {
  let at = start
  while (at < end && plain[bytes[at] ?? 0] === 1) at += 1
  return at
}

/** JSON has no zeros in front (RFC 8259 §6). */
function endOfDigits(bytes: Buffer, start: number, end: number): number {
  let at = start
  while (at < end && isDigit(bytes[at] ?? 0)) at += 1
  const isNumber = bytes[start] !== zero || at === start + 1
  return isNumber && at - start <= digitsMax ? at : start
}

const isDigit = (byte: number): boolean => byte >= zero && byte <= nine

/** Deeper than anything that is looked for. */
const depthMax = 8

/**
 * The values of these members, where they may differ from line to line; undefined when a name is empty, has an
 * escape, or stands twice in one object, so that not every line like this one says the same by it.
 *
 * @param line That was parsed as JSON.
 */
export function variablesIn(
  line: Buffer,
  isWanted: (path: string) => boolean,
): readonly Variable[] | undefined {
  const walk = new Walk(line, isWanted)
  return walk.value('', 0) ? walk.found : undefined
}

/** Over the bytes of a JSON value that is one. */
class Walk {
  readonly found: Variable[] = []
  readonly #line: Buffer
  readonly #isWanted: (path: string) => boolean
  #at = 0

  constructor(line: Buffer, isWanted: (path: string) => boolean) {
    this.#line = line
    this.#isWanted = isWanted
  }

  /** False when it is none of which lines can be told. */
  value(path: string, depth: number): boolean {
    this.#skipSpace()
    if (depth > depthMax) return false
    const from = this.#at
    const byte = this.#line[from]
    if (byte === openObject) return this.#object(path, depth)
    if (byte === openList) return this.#list(path, depth)
    if (byte === quote) {
      this.#string()
      const to = this.#at - 1
      if (endOfText(this.#line, from + 1, to) === to) this.#take('text', path, from + 1, to)
    } else {
      const to = endOfDigits(this.#line, from, this.#line.length)
      this.#skipScalar()
      if (to === this.#at) this.#take('digits', path, from, to)
    }
    return true
  }

  #take(kind: Variable['kind'], path: string, from: number, to: number): void {
    if (to > from && this.#isWanted(path)) this.found.push({ kind, path, from, to })
  }

  #object(path: string, depth: number): boolean {
    const names = new Set<string>()
    this.#at += 1
    for (;;) {
      this.#skipSpace()
      const byte = this.#line[this.#at]
      if (byte === closeObject) {
        this.#at += 1
        return true
      }
      if (byte === comma) {
        this.#at += 1
        continue
      }
      const from = this.#at + 1
      this.#string()
      const name = this.#line.toString('utf8', from, this.#at - 1)
      // A path would not tell a member without a name from the one around it.
      if (name === '' || names.has(name) || name.includes('\\')) return false
      names.add(name)
      this.#skipSpace()
      this.#at += 1
      const inside = path === '' ? name : `${path}/${name}`
      if (!this.value(name.includes('/') ? '/' : inside, depth + 1)) return false
    }
  }

  #list(path: string, depth: number): boolean {
    this.#at += 1
    for (;;) {
      this.#skipSpace()
      const byte = this.#line[this.#at]
      if (byte === closeList) {
        this.#at += 1
        return true
      }
      if (byte === comma) this.#at += 1
      else if (!this.value(`${path}/[]`, depth + 1)) return false
    }
  }

  #string(): void {
    this.#at += 1
    while (this.#line[this.#at] !== quote) this.#at += this.#line[this.#at] === backslash ? 2 : 1
    this.#at += 1
  }

  #skipScalar(): void {
    while (this.#at < this.#line.length && !ends.has(this.#line[this.#at] ?? 0)) this.#at += 1
  }

  #skipSpace(): void {
    while (spaces.has(this.#line[this.#at] ?? 0)) this.#at += 1
  }
}

const spaces: ReadonlySet<number> = new Set([0x09, 0x0a, 0x0d, 0x20])
/** What a number or a word is followed by. */
const ends: ReadonlySet<number> = new Set([comma, closeList, closeObject, ...spaces])

/** Tried for one line at most. */
const keptMax = 32

/** Moulds of the lines that were parsed, each with what is the same for all that fit it. */
export class Moulds<Common> {
  readonly #kept: { readonly mould: Mould; readonly common: Common }[] = []
  /** The one that fitted last: lines of a kind come in a row. */
  #last = 0
  #fitted = 0
  #made = 0

  /** Undefined: the line has to be parsed. */
  find(bytes: Buffer, from: number, to: number) {
    const { length } = this.#kept
    for (let step = 0; step < length; step += 1) {
      const index = (this.#last + step) % length
      const kept = this.#kept[index]
      if (kept?.mould.fits(bytes, from, to) !== true) continue
      this.#last = index
      this.#fitted += 1
      return kept
    }
    return undefined
  }

  /** Whether the moulds that were made have served often enough for another one to be worth its making. */
  get hasRoom(): boolean {
    return this.#made < keptMax || this.#fitted > this.#made * 16
  }

  keep(mould: Mould, common: Common): void {
    this.#kept[this.#made % keptMax] = { mould, common }
    this.#last = this.#made % keptMax
    this.#made += 1
  }
}
