import type { GrantName } from '../base/ids.ts'
import type { TokenKeyText } from './token-key.ts'

/** Whose token a row is, to be dropped by: each is sealed with the token too, so that nobody changes it unseen. */
export interface SharedTokenFacts {
  /** That it was obtained for. */
  readonly grant: GrantName
  /** The key version whose signature obtained it. */
  readonly keyId: string
}

/** A token as a store holds it for all replicas: sealed for its key and its end. */
export interface SealedToken extends SharedTokenFacts {
  readonly sealed: Buffer
  /** Seconds since the Unix epoch. Part of what it is sealed for, so nobody can move it. */
  readonly expiresAtSeconds: number
}

export interface StoredToken extends SealedToken {
  /** Since it was stored, by the clock of the store: replicas' clocks differ. */
  readonly ageMs: number
}

/**
 * The right to obtain the token of one key, for all replicas and for a short while. Its id is never
 * given twice, so that whoever held it before, and does not know that it is over, changes nothing.
 */
export interface Lease {
  readonly key: TokenKeyText
  /** UUID. */
  readonly id: string
}

/** A flight that somebody leads, or led. */
export interface FlightSeen {
  readonly leaseId: string
  /** `abandoned`: its lease is over; whoever comes next may lead. */
  readonly state: 'under-way' | 'failed' | 'abandoned'
  /** How it failed; absent unless it did. */
  readonly failure?: string
}

/** What the store says of a token; nobody vouches for it. */
export interface ListedToken {
  readonly key: string
  readonly grant: string
  readonly keyId: string
}

export interface Drops {
  /** The latest; each drop has one, and none is seen before those below it. */
  readonly epoch: number
  /** Undefined when it is not known any more: it may have been anything. */
  readonly keys: ReadonlySet<string> | undefined
}

/**
 * What the replicas of a fleet share: sealed tokens, and who obtains which. Safe for any number of
 * replicas and concurrent calls. Time is the store's.
 *
 * All of it may be lost, at the cost of obtaining again. Who writes it is not trusted: whoever reads
 * proves what is read. Whatever is thrown means that the store is of no use now.
 */
export interface SharedTokens {
  find(key: TokenKeyText): Promise<StoredToken | undefined>
  /** Of all who call while nobody holds a lease that lasts, one is given it; undefined to the others. */
  lead(key: TokenKeyText): Promise<Lease | undefined>
  /** Undefined when nobody leads, or the last one has landed. */
  flight(key: TokenKeyText): Promise<FlightSeen | undefined>
  /** The lease lasts from now again; false when it is over, and another may lead. */
  renew(lease: Lease): Promise<boolean>
  /** Stores the token, ends the lease and tells the others, in one step; false when the lease was over, and nothing is changed. */
  land(lease: Lease, token: SealedToken): Promise<boolean>
  /** Ends the lease, if it is not over, and tells those who wait how. Absent: they are to look for themselves. */
  giveUp(lease: Lease, failure?: string): Promise<void>
  /** Those that come after a key, in the store's order, a bounded number of them; absent: the first. */
  list(after?: string): Promise<readonly ListedToken[]>
  /** Removes tokens and flights of the keys, and lets every replica know, in one step. */
  drop(keys: readonly TokenKeyText[]): Promise<void>
  /** Removes tokens as they were listed, and none that has taken the place of one; nobody is told. */
  remove(listed: readonly Pick<ListedToken, 'key' | 'keyId'>[]): Promise<void>
  /** What was dropped after an epoch. */
  dropsSince(epoch: number): Promise<Drops>
  /** Removes what is of no use to anybody any more. */
  tidy(): Promise<void>
  /**
   * Calls the listener when something may have changed for the key: a hint, which may be missing or
   * wrong. Returns what ends it.
   */
  watch(key: TokenKeyText, listener: () => void): () => void
  /** Likewise, when something was dropped. */
  watchDrops(listener: () => void): void
}
