import { fileLines } from '../base/file-lines.ts'
import type { Row } from './chain.ts'
import { cutRowFrom } from './cut.ts'

/**
 * A ledger as JSON Lines: `{"sequence":1,"hash":"…","entry":{…}}`, the entry in the very bytes that were
 * hashed, the hash in hexadecimal. Any program reads it, and the chain can be followed in it.
 */
export function exportedLine({ sequence, hash, canonical, isCut }: Row): string {
  const hex = Buffer.from(hash).toString('hex')
  const what = isCut === true ? 'cut' : 'entry'
  return `{"sequence":${sequence},"hash":"${hex}","${what}":${Buffer.from(canonical).toString()}}\n`
}

/** No entry is as long by far. */
const lineBytesMax = 1024 * 1024
/** Rows that are in memory at a time. */
const pageRows = 1000

/** What comes before the entry: sequences have 16 digits at most. */
const head = /^\{"sequence":(\d{1,16}),"hash":"([0-9a-f]{64})","(entry|cut)":/
const headBytesMax = 128

/**
 * Every line of such a file in order, unverified: what is no such line is a row that nothing continues.
 *
 * @throws Error of the system when the file cannot be read.
 */
export function* readExportedPages(file: string): Generator<readonly Row[], void, undefined> {
  let page: Row[] = []
  for (const { bytes } of fileLines(file, lineBytesMax)) {
    page.push(rowFromExportedLine(bytes))
    if (page.length < pageRows) continue
    yield page
    page = []
  }
  yield page
}

/** A line of such a file, or of whatever else sends them: without its line feed. */
export function rowFromExportedLine(line: Buffer): Row {
  const [prefix, sequence, hash, what] = head.exec(line.toString('latin1', 0, headBytesMax)) ?? []
  const isWhole = line.at(-1) === 0x7d
  if (prefix === undefined || sequence === undefined || hash === undefined || !isWhole) {
    return { sequence: Number.NaN, hash: Buffer.alloc(0), canonical: Buffer.from(line) }
  }
  if (what === 'cut') return cutRowFrom(Buffer.from(line.subarray(prefix.length, -1)))
  return {
    sequence: Number(sequence),
    hash: Buffer.from(hash, 'hex'),
    canonical: Buffer.from(line.subarray(prefix.length, -1)),
  }
}
