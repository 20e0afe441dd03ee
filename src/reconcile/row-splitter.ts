import { recordBytesMax } from './record-splitter.ts'
import type { Piece, Splitter } from './record-splitter.ts'

const newline = 0x0a
const carriageReturn = 0x0d
const quote = 0x22
const comma = 0x2c
const byteOrderMark = '\ufeff'

/**
 * Cuts comma-separated values (RFC 4180) into rows as their bytes come, one row in memory at a time. The
 * first row names the columns, and every other row must have as many cells. A quotation mark that never
 * closes costs what follows up to the longest row that there can be, and no more.
 */
export class RowSplitter implements Splitter {
  #chunk: Buffer = Buffer.alloc(0)
  #pieces: Piece[] = []
  #names: readonly string[] | undefined
  #cells: string[] = []
  /** Of the open cell, what earlier chunks held of it, and what stands before a quotation mark. */
  #parts: Buffer[] = []
  /** Where the rest of it begins in this chunk. */
  #start = 0
  #rowBytes = 0
  #line = 1
  #rowLine = 1
  #previous = 0
  #quoted = false
  /** A quotation mark in a quoted cell: it ends the cell, unless the next one doubles it. */
  #quoteSeen = false
  /** To the next line break, because the row is too long. */
  #skipping = false

  push(chunk: Buffer): readonly Piece[] {
    this.#chunk = chunk
    this.#pieces = []
    this.#start = 0
    for (let at = 0; at < chunk.length; at += 1) {
      const byte = chunk[at] ?? 0
      if (byte === newline) this.#line += 1
      if (++this.#rowBytes > recordBytesMax && !this.#skipping) this.#skip()
      if (this.#skipping) this.#takeSkipped(byte, at)
      else this.#take(byte, at)
      this.#previous = byte
    }
    if (!this.#skipping && !this.#quoteSeen) this.#keepTo(chunk.length)
    return this.#pieces
  }

  end(): readonly Piece[] {
    this.#chunk = Buffer.alloc(0)
    this.#pieces = []
    this.#start = 0
    const isOpen = this.#quoted && !this.#quoteSeen
    if (isOpen) this.#problem('it is cut off', this.#rowLine)
    else if (!this.#skipping && this.#rowBytes > 0) this.#endRow(0)
    return this.#pieces
  }

  #take(byte: number, at: number): void {
    if (this.#quoteSeen) {
      this.#quoteSeen = false
      this.#start = at
      if (byte === quote) return
      this.#quoted = false
    }
    if (this.#quoted) {
      if (byte !== quote) return
      this.#keepTo(at)
      this.#quoteSeen = true
    } else if (byte === quote) {
      this.#keepTo(at)
      this.#quoted = true
      this.#start = at + 1
    } else if (byte === comma) {
      this.#endCell(at)
    } else if (byte === newline) {
      this.#endRow(at)
    }
  }

  #takeSkipped(byte: number, at: number): void {
    if (byte === newline) this.#beginRow(at + 1)
  }

  #keepTo(end: number): void {
    if (end > this.#start) this.#parts.push(this.#chunk.subarray(this.#start, end))
  }

  #endCell(end: number): void {
    this.#keepTo(end)
    this.#cells.push(Buffer.concat(this.#parts).toString())
    this.#parts = []
    this.#start = end + 1
  }

  #endRow(end: number): void {
    const line = this.#rowLine
    this.#endCell(end)
    const cells = this.#cells
    if (this.#previous === carriageReturn) cells.push(cells.pop()?.slice(0, -1) ?? '')
    this.#beginRow(end + 1)
    const isBlank = cells.length === 1 && cells[0] === ''
    if (isBlank) return
    if (this.#names === undefined) {
      this.#names = cells.map((name) => name.replace(byteOrderMark, '').trim())
    } else if (cells.length !== this.#names.length) {
      this.#problem(`it has ${cells.length} cells for ${this.#names.length} columns`, line)
    } else {
      const value = Object.fromEntries(this.#names.map((name, index) => [name, cells[index]]))
      this.#pieces.push({ kind: 'record', value, line })
    }
  }

  #beginRow(start: number): void {
    this.#cells = []
    this.#parts = []
    this.#start = start
    this.#rowBytes = 0
    this.#rowLine = this.#line
    this.#skipping = false
  }

  #skip(): void {
    this.#problem('it is longer than a row can be', this.#rowLine)
    this.#cells = []
    this.#parts = []
    this.#quoted = false
    this.#quoteSeen = false
    this.#skipping = true
  }

  #problem(problem: string, line: number): void {
    this.#pieces.push({ kind: 'problem', problem, line })
  }
}
