import { fileLines } from '../base/file-lines.ts'
import type { Row } from './chain.ts'

/**
 * A ledger as JSON Lines: `{"sequence":1,"hash":"…","entry":{…}}`, the entry in the very bytes that were
 * hashed, the hash in hexadecimal. Any program reads it, and the chain can be followed in it.
 */
export function exportedLine({ sequence, hash, canonical }: Row): string {
  const hex = Buffer.from(hash).toString('hex')
  return `{"sequence":${sequence},"hash":"${hex}","entry":${Buffer.from(canonical).toString()}}\n`
}

/** No entry is as long by far. */
const lineBytesMax = 1024 * 1024
/** Rows that are in memory at a time. */
const pageRows = 1000

/** What comes before the entry: sequences have 16 digits at most. */
const head = /^\{"sequence":(\d{1,16}),"hash":"([0-9a-f]{64})","entry":/
const headBytesMax = 128

/**
 * Every line of such a file in order, unverified: what is no such line is a row that nothing continues.
 *
 * @throws Error of the system when the file cannot be read.
 */
export function* readExportedPages(file: string): Generator<readonly Row[], void, undefined> {
  let page: Row[] = []
  for (const { bytes } of fileLines(file, lineBytesMax)) {
    page.push(rowFrom(bytes))
    if (page.length < pageRows) continue
    yield page
    page = []
  }
  yield page
}

function rowFrom(line: Buffer): Row {
  const [prefix, sequence, hash] = head.exec(line.toString('latin1', 0, headBytesMax)) ?? []
  const isWhole = line.at(-1) === 0x7d
  if (prefix === undefined || sequence === undefined || hash === undefined || !isWhole) {
    return { sequence: Number.NaN, hash: Buffer.alloc(0), canonical: Buffer.from(line) }
  }
  return {
    sequence: Number(sequence),
    hash: Buffer.from(hash, 'hex'),
    canonical: Buffer.from(line.subarray(prefix.length, -1)),
  }
}
