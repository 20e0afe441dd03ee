import { closeSync, openSync, readSync } from 'node:fs'

/** One line of a file, without its end. */
export interface FileLine {
  /** 1 for the first. */
  readonly number: number
  readonly bytes: Buffer
  /** Longer than may be: these are its first bytes. */
  readonly isCut?: true
}

const chunkBytes = 256 * 1024
const lineFeed = 0x0a

/**
 * The lines of a file as bytes, with one of them and a chunk in memory at a time. Lines without a byte are
 * left out. The bytes are good until the next line is asked for.
 *
 * @throws Error of the system when it cannot be read.
 */
export function* fileLines(
  file: string,
  lineBytesMax: number,
): Generator<FileLine, void, undefined> {
  const handle = openSync(file, 'r')
  try {
    const chunk = Buffer.allocUnsafe(chunkBytes)
    let number = 1
    /** Of a line that began in an earlier chunk. */
    let begun: Buffer[] = []
    let begunBytes = 0
    const keep = (bytes: Buffer) => {
      const room = Math.max(0, lineBytesMax + 1 - begunBytes)
      if (room > 0) begun.push(Buffer.from(bytes.subarray(0, room)))
      begunBytes += bytes.length
    }
    const line = (bytes: Buffer): FileLine => ({
      number,
      bytes: bytes.subarray(0, lineBytesMax),
      ...(bytes.length > lineBytesMax ? { isCut: true } : {}),
    })
    for (let size = readSync(handle, chunk); size > 0; size = readSync(handle, chunk)) {
      let from = 0
      for (
        let to = chunk.indexOf(lineFeed);
        to !== -1 && to < size;
        to = chunk.indexOf(lineFeed, from)
      ) {
        const rest = chunk.subarray(from, to)
        if (begunBytes > 0) keep(rest)
        const whole = begunBytes > 0 ? Buffer.concat(begun) : rest
        if (whole.length > 0) yield line(whole)
        begun = []
        begunBytes = 0
        number += 1
        from = to + 1
      }
      keep(chunk.subarray(from, size))
    }
    if (begunBytes > 0) yield line(Buffer.concat(begun))
  } finally {
    closeSync(handle)
  }
}
