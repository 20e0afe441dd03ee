import { parseJson } from '../base/parse-json.ts'

/** What a log is cut into: one record, or a place where there is none. */
export type Piece<Known = never> =
  /** The value that its JSON has, whatever that is, or what a row says by the names of its columns. */
  | { readonly kind: 'record'; readonly value: unknown; readonly line: number }
  /** Read without being parsed. */
  | { readonly kind: 'known'; readonly record: Known; readonly line: number }
  | { readonly kind: 'problem'; readonly problem: string; readonly line: number }

/** Takes the bytes of one log as they come. */
export interface Splitter<Known = never> {
  push(chunk: Buffer): readonly Piece<Known>[]
  end(): readonly Piece<Known>[]
}

/** Reads lines that are like others before them, without parsing them, to what parsing them would come to. */
export interface KnownLines<Known> {
  /** Undefined: it has to be parsed. */
  read(bytes: Buffer, from: number, to: number): Known | undefined
  /** From a line that was parsed, for those like it. */
  learn(line: Buffer, value: unknown): void
}

export const noLinesKnown: KnownLines<never> = { read: () => undefined, learn: () => undefined }

/** Azure's records have about 1.5 KiB; one that does not end must not fill the memory. */
export const recordBytesMax = 256 * 1024

/**
 * The beginning of `{"records":[`, or of a page of Microsoft Graph, `{"@odata.context":"…","value":[`,
 * which nothing else tells from a record.
 */
const wrapperStart = /^\{\s*(?:"@odata\.\w+"\s*:\s*"[^"\\]*"\s*,\s*)*"(?:records|value)"\s*:\s*$/
const wrapperStartSoFar =
  /^\{\s*(?:"@odata\.\w+"\s*:\s*"[^"\\]*"\s*,\s*)*(?:"(?:records|value)"\s*(?::\s*)?)?$/
const wrapperBytesMax = 4096
const wrapperLike = /^\{\s*"(?:records|value|@odata)/
/** Graph says so before the list of a page that is not the last. */
const moreElsewhere = /"@odata\.nextLink"/

const newline = 0x0a
const carriageReturn = 0x0d
const comma = 0x2c
const quote = 0x22
const backslash = 0x5c
const openList = 0x5b
const closeList = 0x5d
const openObject = 0x7b
const closeObject = 0x7d
/** Tab, newline, carriage return, space, comma, and the byte order mark that some tools put in front. */
const between: ReadonlySet<number> = new Set([0x09, newline, 0x0d, 0x20, 0x2c, 0xef, 0xbb, 0xbf])

/** A record whose end has not come yet. */
interface OpenRecord {
  readonly line: number
  /** What earlier chunks held of it; empty when it is too long to be kept. */
  parts: Buffer[]
  bytes: number
}

/**
 * Cuts a log into records as its bytes come, one record in memory at a time. Understands JSON Lines,
 * `[…]` and `{"records":[…]}`, also one after the other, and passes over nothing without a word.
 * Outside of lists a record ends with its line, so that a broken one costs no other.
 */
export class RecordSplitter<Known = never> implements Splitter<Known> {
  readonly #known: KnownLines<Known>
  #chunk: Buffer = Buffer.alloc(0)
  #pieces: Piece<Known>[] = []
  #line = 1
  /** Brackets that are open. */
  #depth = 0
  /** Records begin at this depth: 0, or inside the list that is open. */
  #recordDepth = 0
  #inString = false
  #escaped = false
  #record: OpenRecord | undefined
  /** Where the part of it begins that is in this chunk. */
  #start = 0
  /** One stretch of what is no record is told once. */
  #strayIsTold = false

  constructor(known: KnownLines<Known> = noLinesKnown) {
    this.#known = known
  }

  push(chunk: Buffer): readonly Piece<Known>[] {
    this.#chunk = chunk
    this.#pieces = []
    this.#start = 0
    let at = 0
    while (at < chunk.length) {
      const end = this.#takeWholeLine(at)
      if (end === undefined) this.#take(chunk[at] ?? 0, at)
      at = end ?? at + 1
    }
    if (this.#record !== undefined) keep(this.#record, chunk.subarray(this.#start))
    return this.#pieces
  }

  end(): readonly Piece<Known>[] {
    const isWhole = this.#record === undefined && this.#depth === 0
    const line = this.#record?.line ?? this.#line
    return isWhole ? [] : [{ kind: 'problem', problem: 'it is cut off', line }]
  }

  /**
   * Nearly every record is a line of its own: taken at once, it costs a third of what its bytes cost one
   * by one. Undefined where they have to decide; otherwise the place of the line break.
   */
  #takeWholeLine(at: number): number | undefined {
    const chunk = this.#chunk
    const isStart =
      chunk[at] === openObject && this.#record === undefined && this.#depth === this.#recordDepth
    if (!isStart) return undefined
    const lineEnd = chunk.indexOf(newline, at)
    if (lineEnd === -1 || lineEnd - at > recordBytesMax) return undefined
    let end = lineEnd
    if (chunk[end - 1] === carriageReturn) end -= 1
    if (chunk[end - 1] === comma) end -= 1
    if (chunk[end - 1] !== closeObject) return undefined
    const record = this.#known.read(chunk, at, end)
    if (record !== undefined) {
      this.#pieces.push({ kind: 'known', record, line: this.#line })
      this.#strayIsTold = false
      return lineEnd
    }
    const text = chunk.toString('utf8', at, end)
    if (wrapperLike.test(text)) return undefined
    const value = parseJson(text)
    if (value === undefined) return undefined
    this.#pieces.push({ kind: 'record', value, line: this.#line })
    this.#known.learn(chunk.subarray(at, end), value)
    this.#strayIsTold = false
    return lineEnd
  }

  #take(byte: number, at: number): void {
    if (byte === newline) this.#takeNewline(at)
    else if (this.#inString) this.#takeInString(byte)
    else if (byte === openObject || byte === openList) this.#takeOpening(byte, at)
    else if (byte === closeObject || byte === closeList) this.#takeClosing(at)
    else {
      if (byte === quote) this.#inString = true
      if (this.#record === undefined && !between.has(byte)) this.#tellStray()
    }
  }

  #takeNewline(at: number): void {
    // No string of JSON has a line break in it (RFC 8259 §7), so this is where a broken one ends.
    this.#inString = false
    this.#escaped = false
    if (
      this.#record !== undefined &&
      this.#recordDepth === 0 &&
      !this.#startsLike(wrapperStartSoFar, at)
    ) {
      this.#problem('it is cut off', this.#record.line)
      this.#record = undefined
      this.#depth = 0
    }
    this.#line += 1
  }

  #takeInString(byte: number): void {
    if (this.#escaped) this.#escaped = false
    else if (byte === backslash) this.#escaped = true
    else if (byte === quote) this.#inString = false
  }

  #takeOpening(byte: number, at: number): void {
    if (this.#record !== undefined) {
      if (byte === openList && this.#depth === 1 && this.#startsLike(wrapperStart, at)) {
        if (this.#startsLike(moreElsewhere, at)) {
          this.#problem('more of it was left behind @odata.nextLink', this.#record.line)
        }
        this.#record = undefined
        this.#recordDepth = 2
      }
    } else if (this.#depth !== this.#recordDepth) this.#tellStray()
    else if (byte === openList && this.#depth === 0) this.#recordDepth = 1
    else {
      this.#record = { line: this.#line, parts: [], bytes: 0 }
      this.#start = at
      this.#strayIsTold = false
    }
    this.#depth += 1
  }

  #takeClosing(at: number): void {
    if (this.#depth === 0) {
      this.#tellStray()
      return
    }
    this.#depth -= 1
    if (this.#record === undefined) {
      if (this.#depth < this.#recordDepth) this.#recordDepth = 0
    } else if (this.#depth === this.#recordDepth) {
      keep(this.#record, this.#chunk.subarray(this.#start, at + 1))
      this.#pieces.push(pieceFrom(this.#record))
      this.#record = undefined
    }
  }

  /** Whether all of the record up to here matches, which begins at depth 0. */
  #startsLike(form: RegExp, at: number): boolean {
    const record = this.#record
    if (record === undefined || this.#recordDepth !== 0) return false
    const here = this.#chunk.subarray(this.#start, at)
    if (record.bytes + here.length > wrapperBytesMax) return false
    return form.test(Buffer.concat([...record.parts, here]).toString('latin1'))
  }

  #tellStray(): void {
    if (!this.#strayIsTold) this.#problem('it is not a record', this.#line)
    this.#strayIsTold = true
  }

  #problem(problem: string, line: number): void {
    this.#pieces.push({ kind: 'problem', problem, line })
  }
}

function keep(record: OpenRecord, part: Buffer): void {
  record.bytes += part.length
  if (record.bytes > recordBytesMax) record.parts = []
  else record.parts.push(part)
}

function pieceFrom({ line, parts, bytes }: OpenRecord): Piece {
  if (bytes > recordBytesMax)
    return { kind: 'problem', problem: 'it is longer than a record can be', line }
  const [only] = parts
  const whole = parts.length === 1 && only !== undefined ? only : Buffer.concat(parts)
  const value = parseJson(whole.toString())
  return value === undefined
    ? { kind: 'problem', problem: 'it is not JSON', line }
    : { kind: 'record', value, line }
}
