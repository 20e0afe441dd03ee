import { hash } from 'node:crypto'
import { canonicalJson } from '../base/canonical-json.ts'
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
}

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

/** The hash of an entry that follows `previous`. One hash over one buffer is twice as fast as two updates. */
export function chainHash(previous: Uint8Array, canonical: Uint8Array): Uint8Array {
  const input = Buffer.allocUnsafe(previous.length + canonical.length)
  input.set(previous)
  input.set(canonical, previous.length)
  return hash('sha256', input, 'buffer')
}

/** What is wrong with `row` as the entry after `tip`; undefined when it continues the chain. */
export function chainFault(tip: Link, row: Row): ChainFault | undefined {
  const expected = tip.sequence + 1
  if (row.sequence !== expected) return { fault: 'sequence', sequence: row.sequence, expected }
  const intact = Buffer.compare(chainHash(tip.hash, row.canonical), row.hash) === 0
  return intact ? undefined : { fault: 'hash', sequence: row.sequence }
}

/** The same members seen as JSON: an interface is not assignable to an index signature, its mapping is. */
type JsonOf<T> = T extends string | number | boolean | null | undefined
  ? T
  : { readonly [Name in keyof T]: JsonOf<T[Name]> }
