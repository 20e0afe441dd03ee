import type { KeyObject } from 'node:crypto'

/** What tokens are sealed with: a random key of 256 bits. A generation is one such key, and never another. */
export interface DataKey {
  /** 1, 2, 3, …: the newer, the higher. */
  readonly generation: number
  /** Shows itself to nobody: neither JSON nor `inspect` print what is in it. */
  readonly secret: KeyObject
  readonly createdAtSeconds: number
}

/** AES-256. */
export const dataKeyBytes = 32

/** As large as PostgreSQL's `integer` gets, and no newer generation will be made than that. */
export const generationMax = 2 ** 31 - 1

/** A secret as it may lie about: only who may unwrap with that key in the vault learns it. */
export interface WrappedSecret {
  /** `https://{vault}/keys/{name}/{version}` of the key that wrapped it. */
  readonly keyId: string
  readonly wrapped: Uint8Array
}

/** A data key as a store holds it, for all replicas. */
export interface WrappedDataKey extends WrappedSecret {
  readonly generation: number
  /** Seconds since the Unix epoch, by the clock of the replica that made it. */
  readonly createdAtSeconds: number
}
