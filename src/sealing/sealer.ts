import type { DataKeys } from './data-keys.ts'
import { generationOf, open, type Opened, seal, type SealedFor } from './seal.ts'

/** Seals what replicas share, and opens what any of them has sealed. */
export interface Sealer {
  /** @throws SealingError, or what the store of data keys throws: then it is not shared. */
  seal(sealedFor: SealedFor, plaintext: Uint8Array): Promise<Buffer>
  /**
   * Whoever calls should not wait longer than it would take to do without.
   *
   * @throws SealingError, or what the store of data keys throws: then it may open later.
   */
  open(sealedFor: SealedFor, sealed: Buffer): Promise<Opened | DataKeyGone>
}

/** The data key was removed, because all that it sealed is dead; or somebody made the generation up. */
export interface DataKeyGone {
  readonly ok: false
  readonly reason: 'data-key-gone'
}

export function createSealer(dataKeys: DataKeys): Sealer {
  return {
    seal: async (sealedFor, plaintext) => seal(await dataKeys.forSealing(), sealedFor, plaintext),
    open: async (sealedFor, sealed) => {
      const generation = generationOf(sealed)
      if (generation === undefined) return { ok: false, reason: 'malformed' }
      const dataKey = await dataKeys.forOpening(generation)
      if (dataKey === undefined) return { ok: false, reason: 'data-key-gone' }
      return open(dataKey, sealedFor, sealed)
    },
  }
}
