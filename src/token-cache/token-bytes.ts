/** Where a text is kept. */
export interface Place {
  readonly slab: Slab
  readonly offset: number
  readonly length: number
}

/**
 * Texts of tokens outside of the garbage-collected heap: a hundred megabytes of them are not moved and
 * looked at again and again, the heap's own limit does not bound them, and what is erased is gone.
 */
export interface TokenBytes {
  put(text: string): Place
  read(place: Place): string
  /** Overwrites the text; the place is for others then. Once for each place. */
  erase(place: Place): void
}

interface Slab {
  readonly memory: Buffer
  readonly blockBytes: number
  readonly blocks: number
  /** Offsets of blocks that hold nothing. */
  readonly free: number[]
}

/** Lengths of tokens of one tenant and resource differ by some bytes. */
const granuleBytes = 64
/** A few hundred tokens: as much as is taken from the system, and given back, at once. */
const slabBytes = 256 * 1024

/** Bytes that a text of so many takes. */
export const blockBytesFor = (length: number): number =>
  Math.max(1, Math.ceil(length / granuleBytes)) * granuleBytes

export function createTokenBytes(): TokenBytes {
  /** By the size of their blocks, slabs that have room. */
  const roomy = new Map<number, Set<Slab>>()
  const roomyOf = (blockBytes: number) => {
    const slabs = roomy.get(blockBytes) ?? new Set()
    roomy.set(blockBytes, slabs)
    return slabs
  }

  return {
    put: (text) => {
      const length = Buffer.byteLength(text)
      const slabs = roomyOf(blockBytesFor(length))
      const [slab = createSlab(blockBytesFor(length))] = slabs
      const offset = slab.free.pop()
      if (offset === undefined) throw new RangeError('a slab with room has a free block')
      if (slab.free.length === 0) slabs.delete(slab)
      else slabs.add(slab)
      slab.memory.write(text, offset, length)
      return { slab, offset, length }
    },
    read: ({ slab, offset, length }) => slab.memory.toString('utf8', offset, offset + length),
    erase: ({ slab, offset, length }) => {
      slab.memory.fill(0, offset, offset + length)
      slab.free.push(offset)
      const slabs = roomyOf(slab.blockBytes)
      slabs.add(slab)
      // One is kept, so that a single token that comes and goes does not make one each time.
      if (slab.free.length === slab.blocks && slabs.size > 1) slabs.delete(slab)
    },
  }
}

function createSlab(blockBytes: number): Slab {
  const blocks = Math.max(1, Math.floor(slabBytes / blockBytes))
  return {
    // Of its own, and not from the pool that Node shares among small ones.
    memory: Buffer.alloc(blocks * blockBytes),
    blockBytes,
    blocks,
    free: Array.from({ length: blocks }, (_, index) => index * blockBytes),
  }
}
