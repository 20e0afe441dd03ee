import type { Link } from '../ledger/chain.ts'

/**
 * The hashes of the last entries of a chain. A head is written some entries behind what it stands for: as
 * many as are written while a vault is asked.
 */
export interface RecentHashes {
  add(link: Link): void
  /** 32 bytes; undefined for what was never there, or is no longer known. */
  at(sequence: number): Uint8Array | undefined
}

const hashBytes = 32
const chunkHashes = 4096
/** A million hashes: of half a minute of the fastest ledger, in 32 MB. */
const chunksMax = 256

export function createRecentHashes(): RecentHashes {
  const chunks = new Map<number, Buffer>()
  let first = 0
  let last = -1
  return {
    add: ({ sequence, hash }) => {
      if (last === -1) first = sequence
      last = sequence
      const number = Math.floor(sequence / chunkHashes)
      let chunk = chunks.get(number)
      if (chunk === undefined) {
        chunk = Buffer.alloc(chunkHashes * hashBytes)
        chunks.set(number, chunk)
        chunks.delete(number - chunksMax)
      }
      chunk.set(hash, (sequence % chunkHashes) * hashBytes)
    },
    at: (sequence) => {
      if (sequence < first || sequence > last) return undefined
      const from = (sequence % chunkHashes) * hashBytes
      return chunks.get(Math.floor(sequence / chunkHashes))?.subarray(from, from + hashBytes)
    },
  }
}
