import { hash } from 'node:crypto'
import { canonicalJson, type JsonOf } from '../base/canonical-json.ts'
import type { Entry } from './entry.ts'

/**
 * `hash = SHA-256(previous hash ‖ canonical JSON)`. An entry cannot be changed, taken out or put in
 * without changing every hash after it. What the chain alone cannot show is that its end was cut off
 * or that all of it was written anew: that takes a copy of a hash somewhere else.
 */

/** What the first entry is chained to: 32 zero bytes. */
export const genesisHash: Uint8Array = new Uint8Array(32)

/** A place in the chain: how many entries there are so far, and the hash that stands for them. */
export interface Link {
  /** 1 for the first entry. */
  readonly sequence: number
  /** 32 bytes. */
  readonly hash: Uint8Array
}

/** Before the first entry. */
export const genesis: Link = { sequence: 0, hash: genesisHash }

/** What a ledger holds at one moment, to its end. */
export interface LedgerEnd {
  /** Tells ledgers apart: base64url of the hash of the first entry. */
  readonly ledger: string
  readonly tip: Link
}

/** One stored entry: the canonical bytes, exactly as they were hashed. */
export interface Row extends Link {
  readonly canonical: Uint8Array
  /**
   * Present where it is no entry, and stands for all of them up to this one, which were pruned: see `Cut`. Only
   * ever the first row that there is, or behind the very entry that it names.
   */
  readonly isCut?: true
}

/** Whether a row stands for what was pruned, and what follows it can follow it here. */
export const isCutAt = (tip: Link, row: Row): boolean =>
  row.isCut === true &&
  Number.isSafeInteger(row.sequence) &&
  (tip.sequence === 0 ||
    (tip.sequence === row.sequence && Buffer.compare(tip.hash, row.hash) === 0))

export type ChainFault =
  /** An entry is missing, or one too many is there. */
  | { readonly fault: 'sequence'; readonly sequence: number; readonly expected: number }
  /** The entry, or one before it, is not what was written. */
  | { readonly fault: 'hash'; readonly sequence: number }

/** The bytes that stand for an entry (RFC 8785), as text. */
export function canonicalEntry(entry: Entry): string {
  const plain: JsonOf<Entry> = entry
  return canonicalJson(plain)
}

/** The hash of an entry that follows `previous`. */
export function chainHash(previous: Uint8Array, canonical: Uint8Array): Uint8Array {
  return hash('sha256', hashed(previous, canonical), 'buffer')
}

/** One hash over one buffer is twice as fast as two updates. */
function hashed(previous: Uint8Array, canonical: Uint8Array): Uint8Array {
  const input = Buffer.allocUnsafe(previous.length + canonical.length)
  input.set(previous)
  input.set(canonical, previous.length)
  return input
}

/** What is wrong with `row` as the entry after `tip`; undefined when it continues the chain. */
export function chainFault(tip: Link, row: Row): ChainFault | undefined {
  const expected = tip.sequence + 1
  if (row.sequence !== expected) return { fault: 'sequence', sequence: row.sequence, expected }
  // As text: Node makes a buffer for a hash in more time than it hashes an entry.
  const expectedHash = hash('sha256', hashed(tip.hash, row.canonical), 'latin1')
  return expectedHash === latin1(row.hash) ? undefined : { fault: 'hash', sequence: row.sequence }
}

const latin1 = ({ buffer, byteOffset, byteLength }: Uint8Array): string =>
  Buffer.from(buffer, byteOffset, byteLength).toString('latin1')
